package windows

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/kubemdm/kubemdm/test/devicesim"
)

// discoveryPath is where Settings looks for a server (MS-MDE2 section 3.1).
const discoveryPath = "/EnrollmentServer/Discovery.svc"

// EnrollWithPassword enrols as Settings does when a person gives a server, a user name and a password, which here is an enrolment token. The
// server is "https://host".
func (pc *PC) EnrollWithPassword(ctx context.Context, server, user, password string) error {
	return pc.enroll(ctx, server+discoveryPath, user, func(_ context.Context, d *Discovery) (*element, error) {
		if d.AuthPolicy != PolicyOnPremise {
			return nil, fmt.Errorf("the server wants people to sign in (%s)", d.AuthPolicy)
		}
		return userPassword(user, password), nil
	})
}

// SignIn shows a page in a browser until it posts to appRU, and returns the wresult that was posted.
type SignIn func(ctx context.Context, pageURL, appRU string) (wresult string, err error)

// appRU is where the browser of Windows waits for the end of a sign-in.
const appRU = "ms-app://windows.immersivecontrolpanel"

// EnrollFederated enrols as Settings does when the server sends people to its sign-in page. The server is "https://host".
func (pc *PC) EnrollFederated(ctx context.Context, server, user string, signIn SignIn) error {
	return pc.enroll(ctx, server+discoveryPath, user, func(ctx context.Context, d *Discovery) (*element, error) {
		if d.AuthPolicy != PolicyFederated {
			return nil, fmt.Errorf("the server wants a password (%s)", d.AuthPolicy)
		}
		page, err := d.signInURL(appRU, user)
		if err != nil {
			return nil, err
		}
		wresult, err := signIn(ctx, page, appRU)
		if err != nil {
			return nil, fmt.Errorf("signing in: %w", err)
		}
		return userToken(wresult), nil
	})
}

// Register is RegisterDeviceWithManagement of mdmregistration.dll: whoever calls it brings the discovery URL and a token, which goes to the
// server whatever the server's policy is.
func (pc *PC) Register(ctx context.Context, discoveryURL, accessToken string) error {
	return pc.enroll(ctx, discoveryURL, "", func(context.Context, *Discovery) (*element, error) {
		return userToken(accessToken), nil
	})
}

// AgentToken is the access token that an agent passes to Register.
func AgentToken(nodeKey string) (string, error) {
	type payload struct {
		NodeKey   string `json:"orbit_node_key"`
		AuthToken string `json:"auth_token"`
	}
	token, err := json.Marshal(struct {
		Type    int     `json:"type"`
		Payload payload `json:"payload"`
	}{1, payload{NodeKey: nodeKey}})
	return string(token), err
}

// enroll runs discovery, policy and enrolment. The credential is asked for once, when the policy is known.
func (pc *PC) enroll(ctx context.Context, discoveryURL, user string, credential func(context.Context, *Discovery) (*element, error)) error {
	pc.conversation.Lock()
	defer pc.conversation.Unlock()
	if pc.Enrolled() {
		return ErrEnrolled
	}
	discovery, err := pc.discover(ctx, discoveryURL, user)
	if err != nil {
		return err
	}
	security, err := credential(ctx, discovery)
	if err != nil {
		return err
	}
	policy, err := pc.getPolicy(ctx, discovery, security)
	if err != nil {
		return err
	}
	key, err := pc.newKey(policy)
	if err != nil {
		return err
	}
	csr, err := pc.certificateRequest(key, policy.Hash)
	if err != nil {
		return err
	}
	doc, err := pc.requestToken(ctx, discovery, tokenRequest{security: security, kind: "Issue", valueType: nsWSTEP + "#PKCS10", content: csr})
	if err != nil {
		return err
	}
	provisioning, err := ParseProvisioning(doc)
	if err != nil {
		return err
	}
	e := &enrollment{discoveryURL: discoveryURL, policy: policy, provisioning: provisioning, since: pc.opts.Now()}
	if e.identity, err = provisioning.accept(key, pc.opts.EnrollmentType); err != nil {
		return err
	}
	e.nonce = provisioning.ToServer.Nonce
	pc.begin(e)
	return nil
}

func (pc *PC) newKey(policy *Policy) (*rsa.PrivateKey, error) {
	key, err := pc.opts.Key()
	if err != nil {
		return nil, fmt.Errorf("making key: %w", err)
	}
	if key.N.BitLen() < policy.MinimalKeyLength {
		return nil, fmt.Errorf("the policy wants keys of %d bits", policy.MinimalKeyLength)
	}
	return key, nil
}

// begin makes the enrolment the PC's, with the nodes that came with it.
func (pc *PC) begin(e *enrollment) {
	pc.mu.Lock()
	pc.enrollment = e
	pc.tree = newTree(pc.opts.Hardware)
	pc.tree.provision(e, &pc.opts)
	pc.mu.Unlock()
	pc.event(devicesim.EventEnrolled, "")
	pc.Sync()
}

// tokenRequest is an MS-WSTEP RequestSecurityToken.
type tokenRequest struct {
	security        *element
	kind, valueType string
	content         []byte
	identity        *devicesim.Identity
	emmDeviceID     string
}

// requestToken asks for a certificate, once more if no answer came, and returns the provisioning document.
func (pc *PC) requestToken(ctx context.Context, d *Discovery, r tokenRequest) ([]byte, error) {
	items := tag("ac:AdditionalContext", attr("xmlns", nsContext), pc.contextItems(r.emmDeviceID))
	request := exchange{
		endpoint: "enrolment", action: nsWSTEP + "/RST/wstep", reply: nsWSTEP + "/RSTRC/wstep",
		messageID: "urn:uuid:0d5a1441-5891-453b-becf-a2e5f6ea3749", security: r.security,
		body: tag("wst:RequestSecurityToken",
			tag("wst:TokenType", deviceTokenType), tag("wst:RequestType", nsTrust+"/"+r.kind),
			tag("wsse:BinarySecurityToken", attr("ValueType", r.valueType), attr("EncodingType", encodingBase64),
				base64.StdEncoding.EncodeToString(r.content)),
			items),
	}
	answer, err := pc.call(ctx, d.EnrollmentURL, r.identity, request)
	if err != nil && passing(err) {
		answer, err = pc.call(ctx, d.EnrollmentURL, r.identity, request)
	}
	if err != nil {
		return nil, err
	}
	doc, err := openToken(answer)
	if err != nil {
		return nil, malformed("enrolment: %w", err)
	}
	return doc, nil
}

// openToken takes the provisioning document out of a RequestSecurityTokenResponseCollection.
func openToken(answer *element) ([]byte, error) {
	if answer.Local != "RequestSecurityTokenResponseCollection" || answer.Space != nsTrust {
		return nil, fmt.Errorf("<%s> of %s", answer.Local, answer.Space)
	}
	response := answer.child("RequestSecurityTokenResponse")
	if got := response.value("TokenType"); got != deviceTokenType {
		return nil, fmt.Errorf("token type %q", got)
	}
	token := response.at("RequestedSecurityToken/BinarySecurityToken")
	switch {
	case token == nil || token.Space != nsSecurity:
		return nil, errors.New("no BinarySecurityToken")
	case token.attr("ValueType") != provisionDoc:
		return nil, fmt.Errorf("value type %q", token.attr("ValueType"))
	case token.attr("EncodingType") != encodingBase64:
		return nil, fmt.Errorf("encoding type %q", token.attr("EncodingType"))
	case response.child("DispositionMessage") == nil || response.value("RequestID") != "0":
		return nil, errors.New("no DispositionMessage or no RequestID 0")
	}
	doc, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(token.text), ""))
	if err != nil {
		return nil, fmt.Errorf("the token is no base64: %w", err)
	}
	return doc, nil
}

// contextItems say what the PC is (MS-MDE2 section 3.5).
func (pc *PC) contextItems(emmDeviceID string) []*element {
	h := pc.opts.Hardware
	items := [][2]string{
		{"UXInitiated", "true"}, {"HWDevID", h.HWDevID}, {"Locale", "en-US"}, {"TargetedUserLoggedIn", "true"}, {"OSEdition", h.OSEdition},
		{"DeviceName", h.Name},
	}
	for _, mac := range h.MACs {
		items = append(items, [2]string{"MAC", mac})
	}
	items = append(items, [2]string{"DeviceID", h.DeviceID}, [2]string{"EnrollmentType", string(pc.opts.EnrollmentType)},
		[2]string{"DeviceType", deviceType}, [2]string{"OSVersion", h.OSVersion}, [2]string{"ApplicationVersion", h.OSVersion},
		[2]string{"NotInOobe", "false"}, [2]string{"RequestVersion", requestVersion})
	if emmDeviceID != "" {
		items = append(items, [2]string{"EmmDeviceId", emmDeviceID})
	}
	var elements []*element
	for _, item := range items {
		elements = append(elements, tag("ac:ContextItem", attr("Name", item[0]), tag("ac:Value", item[1])))
	}
	return elements
}
