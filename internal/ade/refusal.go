package ade

// Reasons why a server token is not taken into use.
const (
	// ReasonTokenUnreadable: what was given is no .p7m of Apple, or not a whole one.
	ReasonTokenUnreadable = "TokenUnreadable"
	// ReasonTokenForAnotherKey: it is encrypted for a certificate other than the one at hand.
	ReasonTokenForAnotherKey = "TokenForAnotherKey"
	// ReasonTokenIncomplete: it opens, and something that every token has is not in it.
	ReasonTokenIncomplete = "TokenIncomplete"
)

// Refusal is why a token cannot be used, and what a person does about it. Reason is one word, fit for a condition. The message has nothing of the
// token.
type Refusal struct{ Reason, Message string }

// Error makes a refusal an error for programs that end with it.
func (r *Refusal) Error() string { return r.Message }
