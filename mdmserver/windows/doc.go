// Package windows is the Windows side of a server: discovery (MS-MDE2), certificate policy (MS-XCEP), enrolment and renewal (MS-WSTEP), the sign-in page
// of federated enrolment and OMA-DM management sessions (MS-MDM).
package windows
