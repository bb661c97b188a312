// Package remind says when people are reminded that something ends.
package remind

import (
	"fmt"
	"time"
)

const day = 24 * time.Hour

// thresholds are the times before the end at which people are reminded once the first reminder has come.
var thresholds = []time.Duration{60 * day, 30 * day, 14 * day, 7 * day, day}

// Reminder returns the time before the end that was passed last (0: none) and the one to come (0: the end). The first comes at the time before the
// end that is given.
func Reminder(left, first time.Duration) (passed, next time.Duration) {
	for _, t := range append([]time.Duration{first}, thresholds...) {
		switch {
		case t > first:
		case left > t:
			return passed, t
		default:
			passed = t
		}
	}
	return passed, 0
}

// Days of a duration, a begun one counted whole.
func Days(d time.Duration) int { return int((d + day - 1) / day) }

// Left says in words that less than a time is left.
func Left(passed time.Duration) string {
	if Days(passed) == 1 {
		return "less than 1 day is left"
	}
	return fmt.Sprintf("less than %d days are left", Days(passed))
}
