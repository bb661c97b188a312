package fleet

import (
	"context"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// IssueTicket mints a one-time ticket for whoever signed in as upn: it enrols one Windows device within ten minutes, by the token. No use is counted. Errors:
// ErrTokenUnknown, ErrTokenPlatform, ErrTokenExpired, ErrTokenExhausted.
func (f *Fleet) IssueTicket(ctx context.Context, token adminapi.Key, upn string) (Challenge, error) {
	var ticket Challenge
	err := f.update(ctx, func(tx *txn) error {
		row, err := tx.Token(token)
		if err != nil {
			return err
		}
		if err := row.usable(adminapi.PlatformWindows, tx.now); err != nil {
			return err
		}
		if ticket.Secret, err = f.secret(); err != nil {
			return err
		}
		ticket.ExpiresAt = tx.now.Add(challengeLife)
		return tx.PutChallenge(ChallengeRow{
			SecretHash: ticketHash(ticket.Secret), Token: token, UserPrincipalName: clip(upn, maxMessage), ExpiresAt: ticket.ExpiresAt,
		})
	})
	return ticket, err
}

// ticketHash names a ticket such that it can never be redeemed as the challenge of an Apple device.
func ticketHash(secret string) string {
	return hashHex(string(sealContext([]string{"ticket", secret})))
}

// unusedTicket finds a ticket. Error: ErrChallenge.
func unusedTicket(tx *txn, secret string) (*ChallengeRow, error) {
	row, err := tx.Challenge(ticketHash(secret))
	if err == nil && (row == nil || row.PublicKey != "" || !tx.now.Before(row.ExpiresAt)) {
		err = ErrChallenge
	}
	return row, err
}
