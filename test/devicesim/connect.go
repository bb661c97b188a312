package devicesim

import (
	"context"
	"errors"
	"fmt"
	"maps"
)

// Statuses of an answer.
const (
	statusIdle         = "Idle"
	statusAcknowledged = "Acknowledged"
	statusError        = "Error"
	statusFormatError  = "CommandFormatError"
	statusNotNow       = "NotNow"
)

// maxCommands ends a connection in which the server never runs out of commands: it must be repeating one.
const maxCommands = 10000

// errEndless says that a server does not stop.
var errEndless = errors.New("the server never runs out of commands")

// Idle connects once on the device channel and runs commands until there are none.
func (d *Device) Idle(ctx context.Context) error {
	e, err := d.current()
	if err != nil {
		return err
	}
	return e.device.Idle(ctx)
}

// Idle connects once on the channel and runs commands until there are none. A script that breaks the connection off makes it
// ErrInterrupted. It is nil also when a command ended management.
func (c *Channel) Idle(ctx context.Context) error {
	_, err := c.connect(ctx)
	return err
}

// connect is Idle, and tells whether a command was put off.
func (c *Channel) connect(ctx context.Context) (putOff bool, err error) {
	c.device.conversation.Lock()
	defer c.device.conversation.Unlock()
	e, err := c.enrollment()
	if err != nil {
		return false, err
	}
	if c.tokenDue() {
		if err := c.tokenUpdate(ctx, e); err != nil {
			return false, err
		}
	}
	reply, err := c.report(ctx, map[string]any{"Status": statusIdle})
	if err == nil {
		c.device.event(EventConnected, "")
	}
	for range maxCommands {
		if err != nil || len(reply) == 0 {
			return putOff, err
		}
		var status string
		reply, status, err = c.handle(ctx, reply)
		putOff = putOff || status == statusNotNow
	}
	return putOff, errEndless
}

// enrollment is the device's, as long as the channel is part of it.
func (c *Channel) enrollment() (*enrollment, error) {
	if err := c.device.powered(); err != nil {
		return nil, err
	}
	e, err := c.device.current()
	if err != nil {
		return nil, err
	}
	if c == e.device {
		return e, nil
	}
	for _, user := range e.users {
		if c == user {
			return e, nil
		}
	}
	return nil, ErrNotEnrolled
}

// report sends a status to the command endpoint and returns the next command, empty when there is none.
func (c *Channel) report(ctx context.Context, answer map[string]any) ([]byte, error) {
	e, err := c.enrollment()
	if err != nil {
		return nil, err
	}
	message, err := e.message(e.profile.MDM.ServerURL, typeCommand, c.ids(e), answer)
	if err != nil {
		return nil, err
	}
	return c.device.send(ctx, e, "command", message)
}

// handle runs one command, sends the answer and returns its status and the reply to it.
func (c *Channel) handle(ctx context.Context, data []byte) (reply []byte, status string, err error) {
	cmd, err := decodeCommand(data)
	if err != nil {
		return nil, "", err
	}
	do := c.device.script.take(cmd.Command.RequestType, cmd.identifier())
	if do == Ignore {
		return nil, "", ErrInterrupted
	}
	r := c.result(ctx, cmd, do)
	if r.then != nil {
		defer r.then()
	}
	switch {
	case r.silent:
		return nil, "", r.err
	case do == Crash:
		return nil, "", ErrInterrupted
	}
	reply, err = c.answer(ctx, cmd, r, do)
	return reply, r.status, err
}

// result is what comes of running the command, or what the script has in its place.
func (c *Channel) result(ctx context.Context, cmd *command, do Behaviour) result {
	switch do {
	case AnswerNotNow:
		return result{status: statusNotNow}
	case AnswerError:
		return failed(errorScripted, "the script refuses this command")
	case AnswerFormatError:
		return result{status: statusFormatError}
	}
	return c.run(ctx, cmd)
}

// answer sends the result of a command and returns the reply, which is the next command.
func (c *Channel) answer(ctx context.Context, cmd *command, r result, do Behaviour) ([]byte, error) {
	fields := map[string]any{"Status": r.status, "CommandUUID": cmd.CommandUUID}
	maps.Copy(fields, r.fields)
	reply, err := c.report(ctx, fields)
	if err != nil {
		return nil, err
	}
	c.device.record(cmd, r.status)
	switch {
	case do == AnswerTwice:
		return c.report(ctx, fields)
	case do == MissReply:
		return nil, ErrInterrupted
	case r.final:
		return nil, nil
	}
	return reply, nil
}

func (d *Device) record(cmd *command, status string) {
	requestType := cmd.Command.RequestType
	d.mu.Lock()
	d.answers = append(d.answers, Answer{
		CommandUUID: cmd.CommandUUID, RequestType: requestType, Identifier: cmd.identifier(), Status: status,
	})
	d.mu.Unlock()
	d.event(EventCommand, fmt.Sprintf("%s: %s", requestType, status))
}
