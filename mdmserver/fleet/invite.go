package fleet

import (
	"context"

	"github.com/kubemdm/kubemdm/internal/adminapi"
)

// CheckToken says whether the token, of which it gets the lower-case hex SHA-256, could enrol a device of the platform now. It changes nothing. Errors:
// ErrTokenUnknown, ErrTokenPlatform, ErrTokenExpired, ErrTokenExhausted.
func (f *Fleet) CheckToken(ctx context.Context, tokenHash string, platform adminapi.Platform) error {
	return f.view(ctx, func(tx *txn) error {
		token, err := tx.TokenByHash(tokenHash)
		if err != nil {
			return err
		}
		return token.usable(platform, tx.now)
	})
}

// CheckSignIn says whether people who sign in could enrol a device of the platform by the token now. Errors as of CheckToken.
func (f *Fleet) CheckSignIn(ctx context.Context, key adminapi.Key, platform adminapi.Platform) error {
	return f.view(ctx, func(tx *txn) error {
		token, err := tx.Token(key)
		if err != nil {
			return err
		}
		return token.usable(platform, tx.now)
	})
}

// IssueSignedIn is IssueChallenge for somebody who signed in as account and has no token: the one that is named counts. The account is known with the
// device. No use is counted. Errors: ErrTokenUnknown, ErrTokenPlatform, ErrTokenExpired, ErrTokenExhausted.
func (f *Fleet) IssueSignedIn(ctx context.Context, key adminapi.Key, account string, params EnrollmentParams) (Challenge, error) {
	return f.invite(ctx, account, params, func(tx *txn) (*TokenRow, error) { return tx.Token(key) })
}

// invite mints a challenge and a new enrolment of an Apple device by the token that is found.
func (f *Fleet) invite(ctx context.Context, account string, params EnrollmentParams, find func(*txn) (*TokenRow, error)) (Challenge, error) {
	var ch Challenge
	err := f.update(ctx, func(tx *txn) error {
		token, err := find(tx)
		if err != nil {
			return err
		}
		if err := token.usable(adminapi.PlatformApple, tx.now); err != nil {
			return err
		}
		id, err := f.uuid()
		if err != nil {
			return err
		}
		ch, err = f.mint(tx, ChallengeRow{EnrollmentID: id, Token: token.Key, UserPrincipalName: clip(account, maxMessage), Params: params})
		return err
	})
	return ch, err
}
