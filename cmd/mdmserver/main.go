// Command mdmserver is the protocol server that devices talk to.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/kubemdm/kubemdm/mdmserver"
	"github.com/kubemdm/kubemdm/mdmserver/config"
)

// version is set by the linker.
var version = "dev"

// garbage is how much the heap grows, in percent, until it is collected. Little of it stays, some 15 MB with 10,000 devices, and the rest is gone with its
// request: with Go's own 100 an eighth of the work is collecting.
const garbage = 300

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "mdmserver:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var file string
	var level slog.Level
	c := &cobra.Command{
		Use:   "mdmserver --config FILE",
		Short: "The protocol server of KubeMDM, which devices talk to",
		Long: `The protocol server of KubeMDM, which devices talk to.

It needs no Kubernetes: its configuration is a JSON file, its credentials are files in the folders that the configuration names. It looks at
these folders every few seconds, and at once on SIGHUP, and uses what is new there without a restart. On SIGTERM it finishes the requests
that are under way and exits 0.

A file that a folder lacks is taken from the environment variable KUBEMDM_<FOLDER>_<FILE>, read at the start; the folder may be missing then.
FOLDER is SERVING, ADMIN, SEALING, PUSH, IDENTITY, WSTEP, SIGNIN or APPLE_SIGNIN, FILE the file's name in capital letters with "_" for whatever
is neither a letter nor a digit: KUBEMDM_PUSH_TLS_CRT, KUBEMDM_IDENTITY_1_KEY, KUBEMDM_IDENTITY_ROLES_JSON. A sealing key is in base64, and its
id is in small letters: KUBEMDM_SEALING_K1 is the key k1.

The key of the push certificate may be in a KMS: then the push folder holds key.uri in the place of tls.key, and key.pin, or the variable
KUBEMDM_KMS_PIN, the PIN of a PKCS#11 token. A file that "mdmserver seal" has sealed for a key in a KMS may be in any folder, with .sealed after
its name.

The listener for devices and the internal API are TLS only; /healthz, /readyz and /metrics are served in clear on an address of their own.`,
		Example:       "  mdmserver --config /etc/kubemdm/mdmserver.json",
		Version:       version,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(file)
			if err != nil {
				return err
			}
			log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
			return mdmserver.Run(cmd.Context(), *cfg, log, version)
		},
	}
	c.Flags().StringVar(&file, "config", "", "the configuration file (JSON)")
	c.Flags().TextVar(&level, "log-level", slog.LevelInfo, "what to log: DEBUG, INFO, WARN or ERROR")
	_ = c.MarkFlagRequired("config") // fails only for a flag that is not defined
	c.AddCommand(sealCommand(), migrateStoreCommand())
	return c
}
