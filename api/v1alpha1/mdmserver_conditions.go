package v1alpha1

// Conditions of an MDMServer.
const (
	// MDMServerCredentialsReady is True when the keys that nothing can replace are present (the sealing keys and the generations of the CAs for
	// devices), and the internal API's certificates, what the sign-in needs and the CAs of imports as well.
	MDMServerCredentialsReady = "CredentialsReady"
	// MDMServerCertificatesReady is True when the serving certificate is issued, covers the hosts and is not about to expire.
	MDMServerCertificatesReady = "CertificatesReady"
	// MDMServerDeployed is True when the wanted number of server pods is available.
	MDMServerDeployed = "Deployed"
	// MDMServerReachable is True while the operator hears from the server's internal API.
	MDMServerReachable = "Reachable"
	// MDMServerStoreReady is True while every replica that answers can use the store.
	MDMServerStoreReady = "StoreReady"
	// MDMServerPubliclyTrusted is True when the serving certificate chains to a public root, so that devices trust it by themselves.
	MDMServerPubliclyTrusted = "PubliclyTrusted"
	// MDMServerPushReady is True when the server holds a push certificate that Apple accepts. A server without spec.apple does not have it.
	MDMServerPushReady = "PushReady"
	// MDMServerEnrollmentPageReady is True when the enrolment page has the logo that spec.enrollmentPage names. A server whose page names none does not
	// have it.
	MDMServerEnrollmentPageReady = "EnrollmentPageReady"
)

// Reasons in the conditions of an MDMServer.
const (
	// MDMServerKeyLost: key material that has been in use is gone, and stored data or enrolled devices depend on it. Restore the Secret that
	// the message names from a backup; the operator never makes it anew.
	MDMServerKeyLost = "KeyLost"
	// MDMServerIssuing: cert-manager has not issued a certificate yet. Wait; if it lasts, see the Certificate that the message names.
	MDMServerIssuing = "Issuing"
	// MDMServerRotating: a new generation of the device-identity CA (Apple) or of the WSTEP CA (Windows) is on its way; the message says of which. Wait.
	MDMServerRotating = "Rotating"
	// MDMServerCertificateInvalid: a certificate in the Secret of spec.tls, spec.apple.signIn or spec.windows.signIn, in the ConfigMap of one of
	// spec.apple.imports, or in spec.storage.postgresql.caRef, cannot be used; the message says why. Replace it.
	MDMServerCertificateInvalid = "CertificateInvalid"
	// MDMServerCertificateExpired: the serving certificate has expired and devices refuse the server. Renew it; see its issuer if cert-manager should have.
	MDMServerCertificateExpired = "CertificateExpired"
	// MDMServerHostMismatch: the serving certificate is for other names than spec.host and spec.windows.managementHost. Replace it.
	MDMServerHostMismatch = "HostMismatch"
	// MDMServerRollingOut: pods are being replaced. Wait.
	MDMServerRollingOut = "RollingOut"
	// MDMServerUnavailable: pods do not become ready. See the events and logs of the pods that the message names.
	MDMServerUnavailable = "Unavailable"
	// MDMServerStopped: spec.replicas is 0. Raise it to serve devices.
	MDMServerStopped = "Stopped"
	// MDMServerConnected: the internal API answers. Nothing to do.
	MDMServerConnected = "Connected"
	// MDMServerStoreUnavailable: the server cannot use its store; the message says why. Devices are told to come back, and nothing is lost. See the database, or
	// the volume.
	MDMServerStoreUnavailable = "StoreUnavailable"
	// MDMServerStorageFull: the store has no space left. Grow the volume, of the server or of the database.
	MDMServerStorageFull = "StorageFull"
	// MDMServerNewerSchema: a newer release of the server has migrated the store, and this one does not know it. Install that release again, or restore the
	// backup from before.
	MDMServerNewerSchema = "NewerSchema"
	// MDMServerReadOnly: the database takes no writes. See why; a provider may have done it since a disk was full.
	MDMServerReadOnly = "ReadOnly"
	// MDMServerDatabaseIsStandby: the address leads to a standby, which cannot be written. Wait for the end of a failover, or name the primary in the Secret.
	MDMServerDatabaseIsStandby = "DatabaseIsStandby"
	// MDMServerDatabaseCredentialsInvalid: the Secret of spec.storage.postgresql.secretRef cannot be read as an address; the message says why. Correct it.
	MDMServerDatabaseCredentialsInvalid = "DatabaseCredentialsInvalid" //nolint:gosec // a reason
	// MDMServerDatabaseLoginRefused: the database refuses user or password. Correct the Secret, or the database.
	MDMServerDatabaseLoginRefused = "DatabaseLoginRefused"
	// MDMServerDatabaseTLSFailed: the database has no TLS, or refuses the server's own certificate. Turn TLS on there, or correct the Secret.
	MDMServerDatabaseTLSFailed = "DatabaseTLSFailed"
	// MDMServerDatabaseCertificateRefused: the certificate of the database is of no known CA, for another name, or not valid. Give the CA, or replace the
	// certificate.
	MDMServerDatabaseCertificateRefused = "DatabaseCertificateRefused"
	// MDMServerDatabaseNotFound: the database server has no database of that name. Create it, or correct the Secret.
	MDMServerDatabaseNotFound = "DatabaseNotFound"
	// MDMServerDatabasePrivilegesMissing: the user may not make or change tables. Make it the owner of the database.
	MDMServerDatabasePrivilegesMissing = "DatabasePrivilegesMissing"
	// MDMServerDatabaseUnsuitable: the database has another encoding than UTF8, or is too old; the message says which. Make a new one, or upgrade it.
	MDMServerDatabaseUnsuitable = "DatabaseUnsuitable"
	// MDMServerDatabaseOfAnotherServer: the database holds the state of another MDMServer. Name another database in the Secret.
	MDMServerDatabaseOfAnotherServer = "DatabaseOfAnotherServer"
	// MDMServerDatabaseDamaged: tables are missing or cannot be read. Restore the database.
	MDMServerDatabaseDamaged = "DatabaseDamaged"
	// MDMServerTooManyConnections: the database takes no more connections. Raise its max_connections, or lower spec.storage.postgresql.maxConnections.
	MDMServerTooManyConnections = "TooManyConnections"
	// MDMServerSelfSigned: Apple devices trust the serving certificate only by the enrolment profile, and real PCs refuse it. Use spec.tls.type Issuer or
	// Secret for more than a demo.
	MDMServerSelfSigned = "SelfSigned"
	// MDMServerPrivateCA: the serving certificate comes from a CA that devices do not know by themselves, and real PCs refuse to enrol. Use a public one, or see that
	// devices trust yours.
	MDMServerPrivateCA = "PrivateCA"
	// MDMServerPublicCA: devices trust the serving certificate by themselves. Nothing to do.
	MDMServerPublicCA = "PublicCA"
	// MDMServerNoAPNSCertificate: spec.apple.apnsCertificateRef is absent or names nothing. Create the APNSCertificate; without one no Apple device can enrol.
	MDMServerNoAPNSCertificate = "NoAPNSCertificate"
	// MDMServerAPNSCertificateNotReady: the APNSCertificate has a fault. See its conditions.
	MDMServerAPNSCertificateNotReady = "APNSCertificateNotReady"
	// MDMServerPushPaused: Apple refuses the push certificate or its topic; pushing pauses and no device is changed. See the APNSCertificate.
	MDMServerPushPaused = "PushPaused"
	// MDMServerLogoNotFound: the ConfigMap of spec.enrollmentPage.logoConfigMapRef, or its key, is missing. Create what the message names.
	MDMServerLogoNotFound = "LogoNotFound"
	// MDMServerLogoInvalid: the logo of the enrolment page is no SVG, PNG or JPEG image of at most 256 KiB; the message says why. Replace it.
	MDMServerLogoInvalid = "LogoInvalid"
)

// KnownConditions implements Object.
func (s *MDMServer) KnownConditions() []string {
	known := []string{
		ConditionReady, MDMServerCredentialsReady, MDMServerCertificatesReady, MDMServerDeployed, MDMServerReachable, MDMServerStoreReady,
		MDMServerPubliclyTrusted,
	}
	if s.Spec.Apple != nil {
		known = append(known, MDMServerPushReady)
	}
	if s.Spec.EnrollmentPage.LogoConfigMapRef != nil {
		known = append(known, MDMServerEnrollmentPageReady)
	}
	return known
}
