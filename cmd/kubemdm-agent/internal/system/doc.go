// Package system is the Windows that the agent runs on: enrolment, hardware, services, and where things are kept. It is empty on other systems.
package system
