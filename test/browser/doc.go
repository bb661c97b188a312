// Package browser tests the enrolment page in a real Chromium against a real server: what people see, with a keyboard alone, on small screens, in both
// colour schemes, and to assistive technology. It needs the program chromium. Run with -update it takes the pictures of the documentation anew.
package browser
