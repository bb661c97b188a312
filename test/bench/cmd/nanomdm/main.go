// Command nanomdm is NanoMDM's own command with TLS: the same handlers over the same storage in the same order, on a listener like ours.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	nanohttp "github.com/micromdm/nanolib/http"
	"github.com/micromdm/nanolib/http/trace"
	nanolog "github.com/micromdm/nanolib/log"
	"github.com/micromdm/nanolib/log/stdlogfmt"
	"github.com/micromdm/nanomdm/certverify"
	"github.com/micromdm/nanomdm/cli"
	"github.com/micromdm/nanomdm/cryptoutil"
	httpapi "github.com/micromdm/nanomdm/http/api"
	httpmdm "github.com/micromdm/nanomdm/http/mdm"
	"github.com/micromdm/nanomdm/push/nanopush"
	pushservice "github.com/micromdm/nanomdm/push/service"
	"github.com/micromdm/nanomdm/service/certauth"
	"github.com/micromdm/nanomdm/service/nanomdm"
	"github.com/micromdm/nanomdm/storage"
)

func main() {
	listen := flag.String("listen", "", "address")
	dsn := flag.String("storage-dsn", "", "address of the PostgreSQL database")
	ca := flag.String("ca", "", "file with the CA of the devices")
	key := flag.String("api", "", "key of the API")
	cert, certKey := flag.String("tls-cert", "", "file with the certificate"), flag.String("tls-key", "", "file with its key")
	flag.Parse()
	logger := stdlogfmt.New()
	roots, err := os.ReadFile(*ca)
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := certverify.NewPoolVerifier(roots, nil, x509.ExtKeyUsageClientAuth)
	if err != nil {
		log.Fatal(err)
	}
	options := cli.Storage{Storage: []string{"pgsql"}, DSN: []string{*dsn}}
	store, err := options.Parse(logger)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{
		Addr: *listen, Handler: trace.NewTraceLoggingHandler(handler(store, verifier, *key, logger), logger.With("handler", "log"), traceID),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12}, ReadHeaderTimeout: time.Minute,
	}
	log.Fatal(server.ListenAndServeTLS(*cert, *certKey))
}

// handler joins the parts of NanoMDM as its command does without further flags.
func handler(store storage.AllStorage, verifier certverify.CertVerifier, key string, logger nanolog.Logger) http.Handler {
	core := nanomdm.New(store,
		nanomdm.WithUserAuthenticate(nanomdm.NewUAService(store, false)), nanomdm.WithGetToken(nanomdm.NewTokenMux()), nanomdm.WithLogger(logger.With("service", "nanomdm")))
	service := certauth.New(core, store, certauth.WithLogger(logger.With("service", "certauth")))
	mux := http.NewServeMux()
	devices := nanohttp.NewMWMux(mux)
	devices.Use(func(h http.Handler) http.Handler {
		return httpmdm.CertExtractMdmSignatureMiddleware(h, httpmdm.MdmSignatureVerifierFunc(cryptoutil.VerifyMdmSignature), httpmdm.SigLogWithLogger(logger.With("handler", "cert-extract")))
	})
	devices.Use(func(h http.Handler) http.Handler {
		return httpmdm.CertVerifyMiddleware(h, verifier, logger.With("handler", "cert-verify"))
	})
	devices.Handle("/mdm", httpmdm.CheckinAndCommandHandler(service, logger.With("handler", "checkin-command")))
	api := nanohttp.NewMWMux(mux)
	api.Use(func(h http.Handler) http.Handler {
		return nanohttp.NewSimpleBasicAuthHandler(h, "nanomdm", key, "nanomdm")
	})
	httpapi.HandleAPIv1("/v1", api, logger, store, pushservice.New(store, store, nanopush.NewFactory(), logger.With("service", "push")))
	mux.HandleFunc("/version", nanohttp.NewJSONVersionHandler("bench"))
	return mux
}

func traceID(*http.Request) string { return fmt.Sprintf("%016x", rand.Uint64()) }
