// Package importer hands the enrolments of other MDM servers to an MDMServer, so that enrolled devices move without enrolling again.
package importer
