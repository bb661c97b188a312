package live

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/authentication/authenticatorfactory"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/authorization/path"
	"k8s.io/apiserver/pkg/authorization/union"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"
	restclient "k8s.io/client-go/rest"
)

// The ConfigMap in which an API server tells extension servers how to know it: its Role is extension-apiserver-authentication-reader.
const (
	authenticationNamespace = "kube-system"
	authenticationConfigMap = "extension-apiserver-authentication"
)

// Reviews are repeated so often when the API server does not answer, and an answer holds for so long.
var reviewRetry = wait.Backoff{Duration: 500 * time.Millisecond, Factor: 1.5, Jitter: 0.2, Steps: 5}

const (
	reviewTTL     = 10 * time.Second
	reviewTimeout = 10 * time.Second
)

// health are the paths that need no one's leave.
var health = []string{"/healthz", "/livez", "/readyz"}

// delegate takes the API server's word for who asks, and asks it whether they may. It is the only one who is believed: a request that did not come through
// it is nobody's.
func delegate(config *genericapiserver.Config, cluster *restclient.Config) error {
	cluster = restclient.CopyConfig(cluster)
	cluster.Timeout = 0 // the ConfigMap is watched
	watching, err := kubernetes.NewForConfig(cluster)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	cluster.Timeout = reviewTimeout
	asking, err := kubernetes.NewForConfig(cluster)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	proxy, err := newFrontProxy(watching)
	if err != nil {
		return err
	}
	believed := &authenticatorfactory.RequestHeaderConfig{
		CAContentProvider:   proxy,
		UsernameHeaders:     headerrequest.StringSliceProviderFunc(proxy.UsernameHeaders),
		UIDHeaders:          headerrequest.StringSliceProviderFunc(proxy.UIDHeaders),
		GroupHeaders:        headerrequest.StringSliceProviderFunc(proxy.GroupHeaders),
		ExtraHeaderPrefixes: headerrequest.StringSliceProviderFunc(proxy.ExtraHeaderPrefixes),
		AllowedClientNames:  headerrequest.StringSliceProviderFunc(proxy.AllowedClientNames),
	}
	anonymous := &apiserver.AnonymousAuthConfig{Enabled: true}
	for _, p := range health {
		anonymous.Conditions = append(anonymous.Conditions, apiserver.AnonymousAuthCondition{Path: p})
	}
	authenticator, _, err := authenticatorfactory.DelegatingAuthenticatorConfig{RequestHeaderConfig: believed, Anonymous: anonymous}.New()
	if err != nil {
		return fmt.Errorf("making the authenticator: %w", err)
	}
	config.Authentication.Authenticator, config.Authentication.RequestHeaderConfig = authenticator, believed
	if err := config.Authentication.ApplyClientCert(proxy, config.SecureServing); err != nil {
		return err
	}
	paths, err := path.NewAuthorizer(health)
	if err != nil {
		return err
	}
	reviews, err := authorizerfactory.DelegatingAuthorizerConfig{
		SubjectAccessReviewClient: asking.AuthorizationV1(), AllowCacheTTL: reviewTTL, DenyCacheTTL: reviewTTL, WebhookRetryBackoff: &reviewRetry,
	}.New()
	if err != nil {
		return fmt.Errorf("making the authorizer: %w", err)
	}
	config.Authorization.Authorizer, err = union.New(union.NamedAuthorizer{AuthorizerName: "health", Authorizer: paths}, union.NamedAuthorizer{AuthorizerName: "api-server", Authorizer: reviews})
	return err
}

// frontProxy follows what the ConfigMap says of the API server: the CA of its client certificate, and the headers in which it tells whom a request is from.
// Until the ConfigMap is read nobody is believed.
type frontProxy struct {
	*dynamiccertificates.ConfigMapCAController
	*headerrequest.RequestHeaderAuthRequestController
}

func newFrontProxy(c kubernetes.Interface) (*frontProxy, error) {
	ca, err := dynamiccertificates.NewDynamicCAFromConfigMapController("live-view", authenticationNamespace, authenticationConfigMap, "requestheader-client-ca-file", c)
	if err != nil {
		return nil, fmt.Errorf("following the API server's client CA: %w", err)
	}
	headers := headerrequest.NewRequestHeaderAuthRequestController(authenticationConfigMap, authenticationNamespace, c,
		"requestheader-username-headers", "requestheader-uid-headers", "requestheader-group-headers", "requestheader-extra-headers-prefix", "requestheader-allowed-names")
	return &frontProxy{ca, headers}, nil
}

// RunOnce implements dynamiccertificates.ControllerRunner: it reads the ConfigMap.
func (p *frontProxy) RunOnce(ctx context.Context) error {
	return errors.Join(p.ConfigMapCAController.RunOnce(ctx), p.RequestHeaderAuthRequestController.RunOnce(ctx))
}

// Run implements dynamiccertificates.ControllerRunner: it follows the ConfigMap.
func (p *frontProxy) Run(ctx context.Context, workers int) {
	go p.ConfigMapCAController.Run(ctx, workers)
	go p.RequestHeaderAuthRequestController.Run(ctx, workers)
	<-ctx.Done()
}
