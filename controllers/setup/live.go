package setup

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"path/filepath"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kubemdm/kubemdm/controllers/live"
	"github.com/kubemdm/kubemdm/internal/serverconfig"
)

// liveStreams is how many requests one connection may carry: the API server proxies many people's requests over one.
const liveStreams = 1000

// addLive adds the live view to a manager, unless it is turned off.
func addLive(mgr ctrl.Manager, epoch func(context.Context) (int64, error), opts Options) error {
	if opts.LiveAddress == "" || opts.LiveAddress == "0" {
		return nil
	}
	server := live.New(live.Options{
		Reader: mgr.GetClient(), Namespaces: opts.Namespaces, Epoch: epoch, Dial: opts.Dial, Writer: mgr.GetClient(),
		Clock: clock.RealClock{}, Log: mgr.GetLogger().WithName("live"), Config: mgr.GetConfig(), Serving: opts.serveLive,
	})
	if err := mgr.AddReadyzCheck("live", func(*http.Request) error { return server.Ready() }); err != nil {
		return err
	}
	return mgr.Add(server)
}

// serveLive listens and reads the certificate, which is read again whenever its files change.
func (o Options) serveLive() (*genericapiserver.SecureServingInfo, error) {
	cert, err := dynamiccertificates.NewDynamicServingContentFromFiles("live",
		filepath.Join(o.LiveCertDir, serverconfig.CertFile), filepath.Join(o.LiveCertDir, serverconfig.KeyFile))
	if err != nil {
		return nil, fmt.Errorf(`reading the certificate (mount one at --live-cert-dir, or turn the live view off by --live-address=0): %w`, err)
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", o.LiveAddress)
	if err != nil {
		return nil, fmt.Errorf("listening at --live-address: %w", err)
	}
	return &genericapiserver.SecureServingInfo{Listener: listener, Cert: cert, MinTLSVersion: tls.VersionTLS13, HTTP2MaxStreamsPerConnection: liveStreams}, nil
}
