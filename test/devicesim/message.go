package devicesim

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"

	"github.com/micromdm/plist"
)

// Message is one signed request to an MDM endpoint, to the byte. It can be sent any number of times: load tests make their messages
// before they measure, and tests of bad input change what they like.
type Message struct {
	URL         string
	ContentType string
	Body        []byte
	// Signature is the Mdm-Signature; empty sends none.
	Signature string
}

// Send sends the message as it is and returns the status and the body of the reply.
func (m Message) Send(ctx context.Context, client *http.Client) (status int, reply []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, m.URL, bytes.NewReader(m.Body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", m.ContentType)
	if m.Signature != "" {
		request.Header.Set(signatureHeader, m.Signature)
	}
	status, reply, _, err = roundTrip(client, request)
	return status, reply, err
}

// SignedBy returns the message with this body and the signature of this identity.
func (m Message) SignedBy(identity *Identity, body []byte) (Message, error) {
	signature, err := identity.Sign(body)
	m.Body, m.Signature = body, signature
	return m, err
}

// PrepareIdle makes the message with which the device asks for its first command.
func (d *Device) PrepareIdle() (Message, error) {
	return d.PrepareReport(map[string]any{"Status": statusIdle})
}

// PrepareReport makes a message to the command endpoint on the device channel: Status, CommandUUID and what else is given.
func (d *Device) PrepareReport(fields map[string]any) (Message, error) {
	e, err := d.current()
	if err != nil {
		return Message{}, err
	}
	return e.message(e.profile.MDM.ServerURL, typeCommand, e.device.ids(e), fields)
}

// PrepareCheckIn makes a check-in message on the device channel.
func (d *Device) PrepareCheckIn(messageType string, fields map[string]any) (Message, error) {
	e, err := d.current()
	if err != nil {
		return Message{}, err
	}
	return e.checkInMessage(e.device, messageType, fields)
}

func (e *enrollment) checkInMessage(c *Channel, messageType string, fields map[string]any) (Message, error) {
	return e.message(e.profile.MDM.CheckInURL, typeCheckIn, c.ids(e), map[string]any{"MessageType": messageType}, fields)
}

// message encodes the union of the dictionaries and signs it.
func (e *enrollment) message(address, contentType string, parts ...map[string]any) (Message, error) {
	dictionary := map[string]any{}
	for _, part := range parts {
		maps.Copy(dictionary, part)
	}
	body, err := plist.Marshal(dictionary)
	if err != nil {
		return Message{}, fmt.Errorf("encoding message: %w", err)
	}
	return Message{URL: address, ContentType: contentType}.SignedBy(e.identity, body)
}

// send sends a message of the device's and returns the reply. A 401 ends management, as it may on a real device.
func (d *Device) send(ctx context.Context, e *enrollment, endpoint string, message Message) ([]byte, error) {
	if err := d.powered(); err != nil {
		return nil, err
	}
	status, reply, err := message.Send(ctx, e.client)
	if err != nil {
		return nil, fmt.Errorf("sending %s: %w", endpoint, err)
	}
	if status == http.StatusUnauthorized {
		d.forget(EventUnmanaged, "because the server answered 401")
	}
	if status != http.StatusOK {
		return nil, &StatusError{Endpoint: endpoint, Code: status}
	}
	return reply, nil
}
