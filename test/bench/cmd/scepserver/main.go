// Command scepserver is the command of micromdm/scep with TLS: the same service over the same depot of files, on a listener like ours.
package main

import (
	"crypto/tls"
	"flag"
	"log"
	"net/http"
	"os"
	"time"

	kitlog "github.com/go-kit/kit/log"
	"github.com/go-kit/kit/log/level"
	scepdepot "github.com/micromdm/scep/v2/depot"
	"github.com/micromdm/scep/v2/depot/file"
	scepserver "github.com/micromdm/scep/v2/server"
	"github.com/smallstep/pkcs7"
)

// The command has this library's defaults, DES and SHA-1, which the simulated devices refuse.
func init() {
	pkcs7.ContentEncryptionAlgorithm = pkcs7.EncryptionAlgorithmAES128CBC
	if err := pkcs7.SetDefaultDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256); err != nil {
		panic(err)
	}
}

func main() {
	listen := flag.String("listen", "", "address")
	folder := flag.String("depot", "", "folder of the CA")
	challenge := flag.String("challenge", "", "password of the challenge")
	cert, certKey := flag.String("tls-cert", "", "file with the certificate"), flag.String("tls-key", "", "file with its key")
	flag.Parse()
	handler, err := handler(*folder, *challenge)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: *listen, Handler: handler, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12}, ReadHeaderTimeout: time.Minute}
	log.Fatal(server.ListenAndServeTLS(*cert, *certKey))
}

// handler joins the parts of scepserver as its command does with a challenge and its defaults.
func handler(folder, challenge string) (http.Handler, error) {
	logger := kitlog.With(level.NewFilter(kitlog.NewLogfmtLogger(os.Stderr), level.AllowInfo()), "ts", kitlog.DefaultTimestampUTC, "caller", kitlog.DefaultCaller)
	info := level.Info(logger)
	depot, err := file.NewFileDepot(folder)
	if err != nil {
		return nil, err
	}
	certs, key, err := depot.CA(nil)
	if err != nil {
		return nil, err
	}
	signer := scepserver.StaticChallengeMiddleware(challenge, scepserver.SignCSRAdapter(
		scepdepot.NewSigner(depot, scepdepot.WithAllowRenewalDays(14), scepdepot.WithValidityDays(365))))
	service, err := scepserver.NewService(certs[0], key, signer, scepserver.WithLogger(logger))
	if err != nil {
		return nil, err
	}
	service = scepserver.NewLoggingService(kitlog.With(info, "component", "scep_service"), service)
	endpoints := scepserver.MakeServerEndpoints(service)
	endpoints.GetEndpoint = scepserver.EndpointLoggingMiddleware(info)(endpoints.GetEndpoint)
	endpoints.PostEndpoint = scepserver.EndpointLoggingMiddleware(info)(endpoints.PostEndpoint)
	return scepserver.MakeHTTPHandler(endpoints, service, kitlog.With(info, "component", "http")), nil
}
