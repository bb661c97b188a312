package config

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kubemdm/kubemdm/internal/keys"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
	"github.com/kubemdm/kubemdm/mdmserver/identity"
	"github.com/kubemdm/kubemdm/mdmserver/seal"
)

// pollEvery is how often mounted folders are looked at. Kubelet itself needs up to a minute to bring a changed Secret.
const pollEvery = 5 * time.Second

// patience is how long a reload waits for folders whose KMS is slow; they go on in the background.
const patience = 3 * time.Second

// Names of the mounted folders, as Refused and metrics use them.
const (
	FolderServing  = "serving"
	FolderAdmin    = "admin"
	FolderSealing  = "sealing"
	FolderPush     = "push"
	FolderIdentity = "identity"
	FolderWSTEP    = "wstep"
	FolderSignIn   = "signin"
	FolderDatabase = "database"
	// FolderAppleSignIn begins as no other folder does, or their environment variables could not be told apart.
	FolderAppleSignIn = "apple-signin"
)

// Credentials are the certificates and keys of the mounted folders. It is safe for concurrent use.
type Credentials struct {
	log     *slog.Logger
	folders []reloader

	serving     folder[servingPair]
	admin       folder[adminPair]
	sealing     folder[seal.Keyring]
	push        folder[pushPair]
	identity    folder[[]identity.CA]
	wstep       folder[[]identity.CA]
	signIn      folder[signInClient]
	appleSignIn folder[signInClient]
	imports     map[string]*importCA
	database    folder[pgconn.Config]
}

// reloader is a folder of any content.
type reloader interface {
	label() string
	supplement(env environment, log *slog.Logger) error
	reload() (anew, refusedAnew bool)
	refusal() error
}

// Open reads every folder that the configuration mounts, and takes from environment variables (KUBEMDM_PUSH_TLS_CRT) what they lack. All but the push
// and the database folder must hold good content; what is wrong there stands in Refused.
func Open(cfg serverconfig.Config, log *slog.Logger, now func() time.Time) (*Credentials, error) {
	env := environment(os.Environ())
	c := &Credentials{
		log: log,
		serving: folder[servingPair]{name: FolderServing, dir: cfg.ServingDir,
			parse: func(f files, _ *servingPair) (*servingPair, error) { return parseServing(f, now()) }},
		admin: folder[adminPair]{name: FolderAdmin, dir: cfg.AdminDir,
			parse: func(f files, _ *adminPair) (*adminPair, error) { return parseAdmin(f, now()) }},
		sealing: folder[seal.Keyring]{name: FolderSealing, dir: cfg.SealingDir, parse: parseSealing},
	}
	c.folders = []reloader{&c.serving, &c.admin, &c.sealing}
	if cfg.Apple != nil {
		c.push = folder[pushPair]{name: FolderPush, dir: cfg.Apple.Push.Dir, optional: true,
			parse: func(f files, _ *pushPair) (*pushPair, error) { return parsePush(f, now(), env.value(PINVariable)) }}
		c.identity = generations(FolderIdentity, cfg.Apple.Identity.Dir)
		c.folders = append(c.folders, &c.push, &c.identity)
		if signIn := cfg.Apple.SignIn; signIn != nil {
			c.appleSignIn = folder[signInClient]{name: FolderAppleSignIn, dir: signIn.Dir, parse: parseSignIn}
			c.folders = append(c.folders, &c.appleSignIn)
		}
		c.imports = map[string]*importCA{}
		for _, i := range cfg.Apple.Imports {
			c.imports[i.Name] = newImportCA(i)
			c.folders = append(c.folders, c.imports[i.Name])
		}
	}
	if cfg.Windows != nil {
		c.wstep = generations(FolderWSTEP, cfg.Windows.Identity.Dir)
		c.folders = append(c.folders, &c.wstep)
		if cfg.Windows.SignIn != nil {
			c.signIn = folder[signInClient]{name: FolderSignIn, dir: cfg.Windows.SignIn.Dir, parse: parseSignIn}
			c.folders = append(c.folders, &c.signIn)
		}
	}
	if cfg.Store.Postgres != nil {
		c.database = folder[pgconn.Config]{name: FolderDatabase, dir: cfg.Store.Postgres.Dir, caDir: cfg.Store.Postgres.CADir,
			parse: func(f files, _ *pgconn.Config) (*pgconn.Config, error) { return parseDatabase(f, now()) }}
		c.folders = append(c.folders, &c.database)
	}
	for _, f := range c.folders {
		if err := f.supplement(env, log); err != nil {
			return nil, err
		}
	}
	c.reload(nil)
	if err := c.unusable(); err != nil {
		return nil, err
	}
	return c, nil
}

// unusable is why a server cannot start with what is mounted.
func (c *Credentials) unusable() error {
	return errors.Join(c.serving.refusal(), c.admin.refusal(), c.sealing.refusal(), c.identity.refusal(), c.wstep.refusal(),
		c.signIn.refusal(), c.appleSignIn.refusal())
}

// generations is a folder with the generations of a CA of devices.
func generations(name, dir string) folder[[]identity.CA] {
	return folder[[]identity.CA]{name: name, dir: dir, parse: func(f files, _ *[]identity.CA) (*[]identity.CA, error) { return parseIdentity(f) }}
}

// Reload looks at every folder now. One whose KMS is slow holds up no other one.
func (c *Credentials) Reload() { c.reload(time.After(patience)) }

// reload looks at every folder and waits until all were looked at or the limit has come; with nil for all.
func (c *Credentials) reload(limit <-chan time.Time) {
	looked := make([]chan struct{}, len(c.folders))
	for i, f := range c.folders {
		looked[i] = make(chan struct{})
		go func() {
			defer close(looked[i])
			c.look(f)
		}()
	}
	for _, done := range looked {
		select {
		case <-done:
		case <-limit:
			return
		}
	}
}

func (c *Credentials) look(f reloader) {
	anew, refused := f.reload()
	switch {
	case refused:
		c.log.Error("mounted credentials are refused, the last good ones stay in use", "folder", f.label(), "error", f.refusal())
	case anew:
		c.log.Info("mounted credentials are in use", "folder", f.label())
	}
}

// Watch reloads every few seconds and on each signal until ctx ends. Then it logs out of PKCS#11 tokens.
func (c *Credentials) Watch(ctx context.Context, signals <-chan os.Signal) {
	defer keys.Close()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-signals:
		}
		c.Reload()
	}
}

// Serving returns the certificate that devices see, with its leaf parsed.
func (c *Credentials) Serving() *tls.Certificate { return &c.serving.get().cert }

// ServingCAPEM returns the CA file that lies beside the serving certificate, empty when there is none.
func (c *Credentials) ServingCAPEM() []byte { return c.serving.get().caPEM }

// Admin returns the internal API's certificate and the CAs of its clients.
func (c *Credentials) Admin() (*tls.Certificate, *x509.CertPool) {
	a := c.admin.get()
	return &a.cert, a.clientCAs
}

// Sealing returns the keys that seal stored values.
func (c *Credentials) Sealing() seal.Keyring { return *c.sealing.get() }

// Push returns the certificate for Apple's push service and its topic; ok is false while there is none.
func (c *Credentials) Push() (cert *tls.Certificate, topic string, ok bool) {
	p := c.push.get()
	if p == nil {
		return nil, "", false
	}
	return &p.cert, p.topic, true
}

// PushChanged returns a channel that is closed when the push certificate changes.
func (c *Credentials) PushChanged() <-chan struct{} { return c.push.changed() }

// IdentityCAs returns the generations of the CA of Apple devices in order; none when the server has no part for Apple. The caller must not change
// the slice.
func (c *Credentials) IdentityCAs() []identity.CA { return inUse(&c.identity) }

// WSTEPCAs is IdentityCAs for Windows devices.
func (c *Credentials) WSTEPCAs() []identity.CA { return inUse(&c.wstep) }

func inUse(f *folder[[]identity.CA]) []identity.CA {
	cas := f.get()
	if cas == nil {
		return nil
	}
	return *cas
}

// SignInSecret returns the secret of the OpenID Connect client for PCs. It is called only where sign-in is configured.
func (c *Credentials) SignInSecret() string { return c.signIn.get().secret }

// AppleSignInSecret is SignInSecret for the setup of Apple devices.
func (c *Credentials) AppleSignInSecret() string { return c.appleSignIn.get().secret }

// Refused returns, by folder, why the newest content of a folder is not in use.
func (c *Credentials) Refused() map[string]string {
	refused := map[string]string{}
	for _, f := range c.folders {
		if err := f.refusal(); err != nil {
			refused[f.label()] = err.Error()
		}
	}
	return refused
}
