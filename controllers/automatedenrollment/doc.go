// Package automatedenrollment brings the devices of an organisation from Apple Business Manager to their enrolment (Automated Device Enrollment).
package automatedenrollment
