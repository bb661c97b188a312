package config

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// Names of environment variables: prefix, folder and file in capital letters, whatever is neither letter nor digit as "_". PINVariable is the PIN of a
// PKCS#11 token for every folder that has none.
const (
	variablePrefix = "KUBEMDM_"
	PINVariable    = "KUBEMDM_KMS_PIN"
)

// pairNames are the files of a TLS certificate.
var pairNames = []string{serverconfig.CertFile, serverconfig.KeyFile, serverconfig.CAFile, serverconfig.KeyPINFile}

// fixedNames are the files that a folder may have; those of sealing keys and generations are added by their pattern.
var fixedNames = map[string][]string{
	FolderServing:     pairNames,
	FolderAdmin:       pairNames,
	FolderSealing:     {serverconfig.PrimaryFile, serverconfig.KeyPINFile},
	FolderPush:        {serverconfig.CertFile, serverconfig.KeyFile, serverconfig.KeyURIFile, serverconfig.KeyPINFile},
	FolderIdentity:    {serverconfig.RolesFile, serverconfig.KeyPINFile},
	FolderWSTEP:       {serverconfig.RolesFile, serverconfig.KeyPINFile},
	FolderSignIn:      {serverconfig.ClientSecretFile, serverconfig.KeyPINFile},
	FolderAppleSignIn: {serverconfig.ClientSecretFile, serverconfig.KeyPINFile},
	FolderDatabase: append([]string{serverconfig.DatabaseURIFile, serverconfig.DatabaseHostFile, serverconfig.DatabasePortFile, serverconfig.DatabaseUserFile,
		serverconfig.DatabaseUsernameFile, serverconfig.DatabasePasswordFile, serverconfig.DatabaseNameFile, serverconfig.DatabaseOtherNameFile,
		serverconfig.DatabaseSSLModeFile}, pairNames...),
}

// generation is a file of a CA generation.
var generation = regexp.MustCompile(`^([1-9][0-9]*)_(CRT|KEY)$`)

// environment is what the environment variables say, each as NAME=value.
type environment []string

// value returns that of one variable, "" if there is none.
func (e environment) value(name string) string {
	for _, variable := range slices.Backward(e) {
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			return value
		}
	}
	return ""
}

// of returns the files of a folder that have a variable, and the variables of the folder that are none of its files. An empty variable is none.
func (e environment) of(folder string) (content files, unknown []string, err error) {
	content = files{}
	for _, variable := range e {
		name, value, _ := strings.Cut(variable, "=")
		rest, ok := strings.CutPrefix(name, variablePrefix+asVariable(folder)+"_")
		if !ok || value == "" {
			continue
		}
		rest, sealed := strings.CutSuffix(rest, asVariable(serverconfig.SealedSuffix))
		file := fileOf(folder, rest)
		b := []byte(value)
		switch {
		case file == "":
			unknown = append(unknown, name)
			continue
		case sealed:
			file += serverconfig.SealedSuffix
		case folder == FolderSealing && !slices.Contains(fixedNames[folder], file):
			if b, err = base64.StdEncoding.DecodeString(strings.TrimSpace(value)); err != nil {
				return nil, nil, fmt.Errorf("the variable %s must hold a sealing key, which is %d random bytes, in base64", name, sealingKeySize)
			}
		}
		content[file] = b
	}
	return content, unknown, nil
}

// fileOf returns the name of the file that the rest of a variable's name stands for, "" if there is none. The id of a sealing key becomes lower case:
// what wrote it in capital letters is lost.
func fileOf(folder, rest string) string {
	for _, name := range fixedNames[folder] {
		if rest == asVariable(name) {
			return name
		}
	}
	switch folder {
	case FolderIdentity, FolderWSTEP:
		if parts := generation.FindStringSubmatch(rest); parts != nil {
			return parts[1] + "." + strings.ToLower(parts[2])
		}
	case FolderSealing:
		return strings.ToLower(rest)
	}
	return ""
}

func asVariable(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(name))
}
