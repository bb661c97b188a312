// Package serverconfig is the configuration file of a protocol server: written by the MDMServer controller into a ConfigMap, or by hand for
// a server that runs alone. It holds no secret, only the folders in which secrets are mounted. Standard library only.
package serverconfig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"time"
)

// Names of the files inside the mounted folders.
const (
	// CertFile, KeyFile and CAFile are the keys of a cert-manager TLS Secret.
	CertFile = "tls.crt"
	KeyFile  = "tls.key"
	CAFile   = "ca.crt"
	// KeyURIFile of the push folder takes the place of KeyFile: it names a key in a KMS (internal/keys/keyuri). KeyPINFile has the PIN of the user of a
	// PKCS#11 token.
	KeyURIFile = "key.uri"
	KeyPINFile = "key.pin"
	// SealedSuffix ends the name of a file that is sealed for a key in a KMS (internal/keys/envelope): opened it is the file without the suffix.
	SealedSuffix = ".sealed"
	// RolesFile of the identity folder maps a generation to its Role; <n>.crt and <n>.key hold the generation itself (PEM).
	RolesFile = "roles.json"
	// PrimaryFile of the sealing folder names the key id that writes; every other file is a key: 32 random bytes, its name the key id.
	PrimaryFile = "primary"
)

// Role is what a generation of the device-identity CA does.
type Role string

// The roles of a CA generation.
const (
	RoleNext    Role = "Next"    // trusted, does not issue yet
	RoleActive  Role = "Active"  // trusted, issues
	RoleRetired Role = "Retired" // trusted and still decrypts SCEP until its last leaf expires
)

// Config is the whole file, in JSON.
type Config struct {
	// Namespace and Name of the MDMServer; they scope durable ids. Any stable words serve a server that runs alone.
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// Host is the public DNS name devices use, with ":port" only if it is not 443. It never changes.
	Host string `json:"host"`
	// Organization is shown to people in the enrolment profile.
	Organization string `json:"organization"`
	Listen       Listen `json:"listen"`
	// ServingDir holds the TLS certificate that devices see (CertFile, KeyFile, and CAFile when it is not publicly trusted).
	ServingDir string `json:"servingDir"`
	// TrustAnchor ships CAFile of ServingDir as an anchor in the enrolment profile (self-signed serving certificates: demos).
	TrustAnchor bool `json:"trustAnchor,omitempty"`
	// AdminDir holds the internal API's certificate and, in CAFile, the CA of its clients; AdminClient is the client's required CN.
	AdminDir    string `json:"adminDir"`
	AdminClient string `json:"adminClient"`
	// SealingDir holds the keys that seal what is stored.
	SealingDir string `json:"sealingDir"`
	Store      Store  `json:"store"`
	// LeaveTime is how long a server that stops goes on answering, until the other replicas get all that is new. One that runs alone needs none.
	LeaveTime Duration `json:"leaveTime,omitzero"`
	// SilentAfter is the silence after which a device counts as not responding.
	SilentAfter Duration `json:"silentAfter"`
	// Apple and Windows say which devices are served; at least one is set.
	Apple   *Apple   `json:"apple,omitempty"`
	Windows *Windows `json:"windows,omitempty"`
	// Page is the look of the enrolment page.
	Page Page `json:"page,omitzero"`
}

// Page is the look of the enrolment page; what is empty has a default.
type Page struct {
	Title      string `json:"title,omitempty"`
	Color      string `json:"color,omitempty"` // #rrggbb
	LogoFile   string `json:"logoFile,omitempty"`
	SupportURL string `json:"supportURL,omitempty"`
	// SignInToken is the key of the EnrollmentToken that counts for Apple devices whose people sign in on the page; empty: nobody may.
	SignInToken string `json:"signInToken,omitempty"`
}

// DNSName is a host without its port, in lower case: what certificates and TLS call it.
func DNSName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(host)
}

// Listen are the listen addresses.
type Listen struct {
	Devices string `json:"devices"`
	Admin   string `json:"admin"`
	// Health serves /healthz, /readyz and /metrics in clear.
	Health string `json:"health"`
}

// Store says where state is kept.
type Store struct {
	SQLite   *SQLite   `json:"sqlite,omitempty"`
	Postgres *Postgres `json:"postgres,omitempty"`
}

// SQLite keeps state in one file.
type SQLite struct {
	Path string `json:"path"`
}

// Postgres keeps state in a PostgreSQL database that all replicas share.
type Postgres struct {
	// Dir holds DatabaseURIFile, or a file for each thing that it says, and possibly CAFile, CertFile and KeyFile (a client certificate).
	Dir string `json:"dir"`
	// CADir holds a CAFile that wins over that of Dir.
	CADir string `json:"caDir,omitempty"`
	// MaxConnections are those of this replica, at least DatabaseMinConnections.
	MaxConnections int `json:"maxConnections"`
}

// Names of the files that say where a database is and as whom it is used, as operators and providers of PostgreSQL call them in their Secrets. User and
// database have two names each.
const (
	DatabaseURIFile       = "uri"
	DatabaseHostFile      = "host"
	DatabasePortFile      = "port"
	DatabaseUserFile      = "user"
	DatabaseUsernameFile  = "username"
	DatabasePasswordFile  = "password"
	DatabaseNameFile      = "dbname"
	DatabaseOtherNameFile = "database"
	DatabaseSSLModeFile   = "sslmode"
)

// DatabaseMinConnections is the least MaxConnections: one connection listens, one writes, one reads.
const DatabaseMinConnections = 3

// Apple configures Apple devices.
type Apple struct {
	Push     Push     `json:"push"`
	Identity Identity `json:"identity"`
	// AccessRights of the MDM payload; 8191 is all of them.
	AccessRights int `json:"accessRights"`
	// DeviceRootsFile holds the authorities (PEM) that vouch for devices in Setup Assistant in the place of Apple's (tests).
	DeviceRootsFile string `json:"deviceRootsFile,omitempty"`
	// SignIn lets setup-assistant profiles ask people to sign in; nil: none may.
	SignIn *SignIn `json:"signIn,omitempty"`
	// Imports are the servers by which imported devices were enrolled.
	Imports []Import `json:"imports,omitempty"`
}

// Import is another server by which devices were enrolled: their paths are served, and CAFile (PEM) is trusted for the imported ones.
type Import struct {
	Name        string `json:"name"`
	ServerPath  string `json:"serverPath"`
	CheckInPath string `json:"checkInPath"`
	CAFile      string `json:"caFile"`
}

// Push configures APNs.
type Push struct {
	// Dir holds CertFile and either KeyFile or KeyURIFile of the push certificate; it may be empty until there is one.
	Dir string `json:"dir"`
	// URL is Apple's push service; CAFile trusts another one than the system roots do (tests).
	URL    string `json:"url"`
	CAFile string `json:"caFile,omitempty"`
}

// Identity configures the certificates of devices.
type Identity struct {
	// Dir holds the CA generations: RolesFile and <n>.crt, <n>.key.
	Dir string `json:"dir"`
	// Validity of an issued certificate and how long before its end it is renewed.
	Validity    Duration `json:"validity"`
	RenewBefore Duration `json:"renewBefore"`
}

// Windows configures Windows devices.
type Windows struct {
	// ManagementHost is the public DNS name of management sessions, with ":port" only if it is not 443, when it is another one than Host: there the
	// server asks for client certificates in the TLS handshake. Empty: management is at Host and nobody is asked.
	ManagementHost string `json:"managementHost,omitempty"`
	// Identity is the CA of device certificates (WSTEP). RenewBefore is told to devices in whole days.
	Identity       Identity       `json:"identity"`
	Authentication Authentication `json:"authentication"`
	// SignIn makes /EnrollmentServer/Discovery.svc answer Federated; nil: OnPremise.
	SignIn *SignIn `json:"signIn,omitempty"`
	// PollEvery is how often a device comes by itself once its first hour is over; VerifyEvery is how often its settings are read again.
	PollEvery   Duration `json:"pollEvery"`
	VerifyEvery Duration `json:"verifyEvery"`
}

// Authentication says what a device must prove in a management session.
type Authentication struct {
	Require Require `json:"require"`
	// TrustedProxies are the networks (CIDR) whose RFC 9440 Client-Cert header is believed.
	TrustedProxies []string `json:"trustedProxies,omitempty"`
}

// Require is the weakest proof that is accepted.
type Require string

// The proofs.
const (
	RequireDigest      Require = "Digest"      // any layer
	RequireCertificate Require = "Certificate" // a client certificate, in TLS or from a trusted proxy, or a signature
	RequireSignature   Require = "Signature"   // a signature over every message
)

// SignIn is the OpenID Connect issuer that people sign in to.
type SignIn struct {
	IssuerURL string `json:"issuerURL"`
	ClientID  string `json:"clientID"`
	// Dir holds ClientSecretFile and, if the issuer is not publicly trusted, CAFile.
	Dir string `json:"dir"`
	// Token is the key of the EnrollmentToken whose labels, limits and end count for enrolments of PCs by sign-in. Apple devices need none.
	Token string `json:"token,omitempty"`
	// Domains are the e-mail domains that may enrol; none: whoever the issuer knows.
	Domains []string `json:"domains,omitempty"`
}

// ClientSecretFile holds the secret of an OpenID Connect client.
const ClientSecretFile = "client-secret"

// Duration is a time.Duration written as a Go duration string.
type Duration time.Duration

// MarshalJSON writes a Go duration string.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON reads a Go duration string.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return err
	}
	*d = Duration(v)
	return nil
}

// Parse reads a Config and refuses unknown fields, so that a misspelt one is not silently ignored.
func Parse(b []byte) (*Config, error) {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	c := &Config{}
	if err := dec.Decode(c); err != nil {
		return nil, fmt.Errorf("parsing the configuration: %w", err)
	}
	return c, nil
}
