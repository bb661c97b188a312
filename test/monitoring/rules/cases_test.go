package rules

// alertCase are series for two days, in the notation of Prometheus' tests, and the labels that tell whom the alert is about.
type alertCase struct{ firing, silent, labels []string }

const (
	mdm    = `namespace="fleet",name="mdm"`
	push   = `namespace="fleet",name="push"`
	server = `namespace="fleet",server="mdm",pod="mdm-0"`
	// leading is the manager that leads; its neighbour only waits.
	leading = `leader_election_master_status{name="kubemdm-manager",namespace="kubemdm-system",pod="one"} 1x2880`
	waiting = `leader_election_master_status{name="kubemdm-manager",namespace="kubemdm-system",pod="two"} 0x2880`
	manager = `namespace="kubemdm-system",pod="one"`
)

// world are series that no alert is about.
var world = []string{
	`kubemdm_mdmserver_devices{` + mdm + `,state="behind"} 8x2880`,
	`kubemdm_profile_devices{` + mdm + `,state="installed"} 59x2880`,
	`kubemdm_automatedenrollment_devices{` + mdm + `,state="listed"} 40x2880`,
	`kubemdm_apnscertificate_request_timestamp_seconds{` + push + `} 60x2880`,
	`kubemdm_conditions{` + manager + `,kind="Device",condition="Responding",status="False"} 30x2880`,
	`kubemdm_conditions{` + manager + `,kind="Device",condition="RenewalDue",status="True"} 1x2880`,
	`kubemdm_conditions{` + manager + `,kind="DeviceCommand",condition="Succeeded",status="True"} 12x2880`,
	`kubemdm_conditions{` + manager + `,kind="Profile",condition="Ready",status="False"} 2x2880`,
	`kubemdm_server_push_paused{` + server + `} 0x2880`,
	`kubemdm_server_http_panics_total{` + server + `} 0x2880`,
	`kubemdm_server_build_info{` + server + `,version="v0.2.0",goversion="go1.26"} 1x2880`,
	`kubemdm_server_http_request_duration_seconds_bucket{` + server + `,listener="devices",endpoint="/mdm",le="0.001"} 0+5x2880`,
	`kubemdm_server_http_request_duration_seconds_bucket{` + server + `,listener="devices",endpoint="/mdm",le="+Inf"} 0+9x2880`,
	`controller_runtime_reconcile_time_seconds_bucket{` + manager + `,controller="profile",le="0.1"} 0+5x2880`,
	`controller_runtime_reconcile_time_seconds_bucket{` + manager + `,controller="profile",le="+Inf"} 0+9x2880`,
}

// Time begins at 1970, so that an end is the number of seconds that are left.
var cases = map[string]alertCase{
	"KubeMDMPushCertificateExpiring": {
		// Two managers tell of the same certificate.
		[]string{`kubemdm_apnscertificate_expiry_timestamp_seconds{` + push + `,pod="one"} 2505600x2880`, `kubemdm_apnscertificate_expiry_timestamp_seconds{` + push + `,pod="two"} 2505600x2880`},
		[]string{`kubemdm_apnscertificate_expiry_timestamp_seconds{` + push + `} 2764800x2880`, `kubemdm_apnscertificate_expiry_timestamp_seconds{namespace="fleet",name="other"} 518400x2880`},
		[]string{"namespace", "fleet", "name", "push"},
	},
	"KubeMDMPushCertificateExpiresSoon": {
		[]string{`kubemdm_apnscertificate_expiry_timestamp_seconds{` + push + `} -60x2880`},
		[]string{`kubemdm_apnscertificate_expiry_timestamp_seconds{` + push + `} 691200x2880`},
		[]string{"namespace", "fleet", "name", "push"},
	},
	"KubeMDMAutomatedEnrollmentTokenExpiring": {
		[]string{`kubemdm_automatedenrollment_token_expiry_timestamp_seconds{` + mdm + `} 2505600x2880`},
		[]string{`kubemdm_automatedenrollment_token_expiry_timestamp_seconds{` + mdm + `} 2764800x2880`},
		[]string{"namespace", "fleet", "name", "mdm"},
	},
	"KubeMDMAutomatedEnrollmentTokenExpiresSoon": {
		[]string{`kubemdm_automatedenrollment_token_expiry_timestamp_seconds{` + mdm + `} 500000x2880`},
		[]string{`kubemdm_automatedenrollment_token_expiry_timestamp_seconds{` + mdm + `} 691200x2880`},
		[]string{"namespace", "fleet", "name", "mdm"},
	},
	"KubeMDMServerCertificateExpiring": {
		[]string{`kubemdm_mdmserver_certificate_expiry_timestamp_seconds{` + mdm + `,certificate="Serving"} 1123200x2880`},
		[]string{
			`kubemdm_mdmserver_certificate_expiry_timestamp_seconds{` + mdm + `,certificate="Serving"} 2592000x2880`,
			`kubemdm_mdmserver_certificate_expiry_timestamp_seconds{` + mdm + `,certificate="IdentityCA-1",role="Retired"} 600000x2880`,
		},
		[]string{"namespace", "fleet", "name", "mdm", "certificate", "Serving"},
	},
	"KubeMDMServerCertificateExpiresSoon": {
		[]string{`kubemdm_mdmserver_certificate_expiry_timestamp_seconds{` + mdm + `,certificate="Admin"} 200000x2880`},
		[]string{`kubemdm_mdmserver_certificate_expiry_timestamp_seconds{` + mdm + `,certificate="Serving"} 1123200x2880`},
		[]string{"namespace", "fleet", "name", "mdm", "certificate", "Admin"},
	},
	"KubeMDMCAGenerationDue": {
		[]string{`kubemdm_mdmserver_ca_due_timestamp_seconds{` + mdm + `,certificate="IdentityCA-1"} 2505600x2880`},
		[]string{`kubemdm_mdmserver_ca_due_timestamp_seconds{` + mdm + `,certificate="IdentityCA-1"} 25056000x2880`, `kubemdm_mdmserver_ca_due_timestamp_seconds{` + mdm + `,certificate="WSTEPCA-1"} 0x2880`},
		[]string{"namespace", "fleet", "name", "mdm", "certificate", "IdentityCA-1"},
	},
	"KubeMDMCAGenerationLate": {
		[]string{`kubemdm_mdmserver_ca_due_timestamp_seconds{` + mdm + `,certificate="IdentityCA-1"} -200000x2880`},
		[]string{`kubemdm_mdmserver_ca_due_timestamp_seconds{` + mdm + `,certificate="IdentityCA-1"} -3600x2880`},
		[]string{"namespace", "fleet", "name", "mdm", "certificate", "IdentityCA-1"},
	},
	"KubeMDMDevicesSilent": {
		[]string{`kubemdm_mdmserver_devices{` + mdm + `,state="enrolled"} 100x2880`, `kubemdm_mdmserver_devices{` + mdm + `,state="responding"} 70x2880`},
		[]string{
			`kubemdm_mdmserver_devices{` + mdm + `,state="enrolled"} 100x2880`, `kubemdm_mdmserver_devices{` + mdm + `,state="responding"} 76x2880`,
			`kubemdm_mdmserver_devices{namespace="lab",name="mdm",state="enrolled"} 0x2880`, `kubemdm_mdmserver_devices{namespace="lab",name="mdm",state="responding"} 0x2880`,
		},
		[]string{"namespace", "fleet", "name", "mdm"},
	},
	"KubeMDMDevicesBehind": {
		[]string{`kubemdm_profile_devices{` + mdm + `,state="targeted"} 100x2880`, `kubemdm_profile_devices{` + mdm + `,state="pending"} 30x2880`},
		// A rollout that takes less than a day.
		[]string{`kubemdm_profile_devices{` + mdm + `,state="targeted"} 100x2880`, `kubemdm_profile_devices{` + mdm + `,state="pending"} 100-1x100 0x2880`},
		[]string{"namespace", "fleet", "name", "mdm"},
	},
	"KubeMDMProfileRefused": {
		[]string{`kubemdm_profile_devices{` + mdm + `,state="targeted"} 100x2880`, `kubemdm_profile_devices{` + mdm + `,state="failed"} 11x2880`},
		[]string{`kubemdm_profile_devices{` + mdm + `,state="targeted"} 100x2880`, `kubemdm_profile_devices{` + mdm + `,state="failed"} 9x2880`},
		[]string{"namespace", "fleet", "name", "mdm"},
	},
	"KubeMDMRemovalHeld": {
		[]string{`kubemdm_profile_held_removal_devices{` + mdm + `} 412x2880`},
		[]string{`kubemdm_profile_held_removal_devices{` + mdm + `} 412x10`}, // acknowledged at once
		[]string{"namespace", "fleet", "name", "mdm"},
	},
	"KubeMDMPushNotAccepted": {
		[]string{`kubemdm_object_condition{kind="APNSCertificate",` + push + `,condition="PushAccepted",status="False",reason="PushRefused"} 1x2880`},
		[]string{`kubemdm_object_condition{kind="APNSCertificate",` + push + `,condition="PushAccepted",status="Unknown",reason="NoPushYet"} 1x2880`},
		[]string{"namespace", "fleet", "name", "push"},
	},
	"KubeMDMPushFailing": {
		[]string{`kubemdm_server_pushes_total{` + server + `,outcome="Accepted"} 0+1x2880`, `kubemdm_server_pushes_total{` + server + `,outcome="Retry"} 0+2x2880`},
		[]string{`kubemdm_server_pushes_total{` + server + `,outcome="Accepted"} 0+3x2880`, `kubemdm_server_pushes_total{` + server + `,outcome="Retry"} 0+2x2880`},
		[]string{"namespace", "fleet", "server", "mdm"},
	},
	"KubeMDMAutomatedEnrollmentServiceFails": {
		[]string{`kubemdm_object_condition{kind="AutomatedEnrollment",` + mdm + `,condition="ServiceReachable",status="False",reason="TokenRevoked"} 1x2880`},
		[]string{`kubemdm_object_condition{kind="AutomatedEnrollment",` + mdm + `,condition="ServiceReachable",status="False",reason="Throttled"} 1x2880`},
		[]string{"namespace", "fleet", "name", "mdm"},
	},
	"KubeMDMServerUnreachable": {
		// The reason changes, and the alert goes on.
		[]string{
			`kubemdm_object_condition{kind="MDMServer",` + mdm + `,condition="Reachable",status="False",reason="ServerUnreachable"} 1x5`,
			`kubemdm_object_condition{kind="MDMServer",` + mdm + `,condition="Reachable",status="False",reason="AnotherManager"} _x6 1x2880`,
		},
		[]string{
			`kubemdm_object_condition{kind="MDMServer",` + mdm + `,condition="Reachable",status="False",reason="Stopped"} 1x2880`,
			`kubemdm_object_condition{kind="MDMServer",namespace="lab",name="mdm",condition="Reachable",status="True",reason="Connected"} 1x2880`,
		},
		[]string{"namespace", "fleet", "name", "mdm"},
	},
	"KubeMDMKeyLost": {
		[]string{`kubemdm_object_condition{kind="MDMServer",` + mdm + `,condition="CredentialsReady",status="False",reason="KeyLost"} 1x2880`},
		[]string{`kubemdm_object_condition{kind="MDMServer",` + mdm + `,condition="CredentialsReady",status="True",reason="Rotating"} 1x2880`},
		[]string{"kind", "MDMServer", "namespace", "fleet", "name", "mdm"},
	},
	"KubeMDMStoreUnavailable": {
		[]string{`kubemdm_server_store_errors_total{` + server + `} 0+1x2880`},
		[]string{`kubemdm_server_store_errors_total{` + server + `} 7x2880`},
		[]string{"namespace", "fleet", "server", "mdm"},
	},
	"KubeMDMStoreNotReady": {
		// The reason changes, and the alert goes on.
		[]string{
			`kubemdm_object_condition{kind="MDMServer",` + mdm + `,condition="StoreReady",status="False",reason="StoreUnavailable"} 1x5`,
			`kubemdm_object_condition{kind="MDMServer",` + mdm + `,condition="StoreReady",status="False",reason="DatabaseLoginRefused"} _x6 1x2880`,
		},
		[]string{`kubemdm_object_condition{kind="MDMServer",` + mdm + `,condition="StoreReady",status="Unknown",reason="ServerUnreachable"} 1x2880`},
		[]string{"namespace", "fleet", "name", "mdm"},
	},
	"KubeMDMServerErrors": {
		[]string{
			`kubemdm_server_http_requests_total{` + server + `,listener="devices",endpoint="/mdm",code="200"} 0+9x2880`,
			`kubemdm_server_http_requests_total{` + server + `,listener="devices",endpoint="/mdm",code="503"} 0+1x2880`,
		},
		[]string{
			`kubemdm_server_http_requests_total{` + server + `,listener="devices",endpoint="/mdm",code="200"} 0+99x2880`,
			`kubemdm_server_http_requests_total{` + server + `,listener="devices",endpoint="/mdm",code="503"} 0+1x2880`,
		},
		[]string{"namespace", "fleet", "server", "mdm", "listener", "devices"},
	},
	"KubeMDMCredentialRefused": {
		[]string{`kubemdm_server_mounted_folder_refused{` + server + `,folder="serving"} 1x2880`},
		[]string{`kubemdm_server_mounted_folder_refused{` + server + `,folder="serving"} 1x20`}, // while the kubelet brings the other half
		[]string{"namespace", "fleet", "server", "mdm", "folder", "serving"},
	},
	"KubeMDMAnotherManager": {
		[]string{`kubemdm_object_condition{kind="Profile",` + mdm + `,condition="Ready",status="False",reason="AnotherManager"} 1x2880`},
		[]string{`kubemdm_object_condition{kind="Profile",` + mdm + `,condition="Ready",status="True",reason="Ready"} 1x2880`},
		[]string{"namespace", "fleet"},
	},
	"KubeMDMManagerAbsent": {
		[]string{waiting},
		[]string{leading, waiting},
		nil,
	},
	"KubeMDMReconcileErrors": {
		[]string{
			leading, `controller_runtime_reconcile_errors_total{` + manager + `,controller="profile"} 0+3x2880`,
			`controller_runtime_reconcile_total{` + manager + `,controller="profile",result="error"} 0+3x2880`,
			`controller_runtime_reconcile_total{` + manager + `,controller="profile",result="success"} 0+7x2880`,
		},
		// Others' operators have a controller of that name too.
		[]string{
			leading, `controller_runtime_reconcile_errors_total{namespace="other",pod="their",controller="profile"} 0+3x2880`,
			`controller_runtime_reconcile_total{namespace="other",pod="their",controller="profile",result="error"} 0+3x2880`,
			`controller_runtime_reconcile_errors_total{` + manager + `,controller="profile"} 0+1x2880`,
			`controller_runtime_reconcile_total{` + manager + `,controller="profile",result="success"} 0+9x2880`,
		},
		[]string{"namespace", "kubemdm-system", "pod", "one", "controller", "profile"},
	},
	"KubeMDMQueueStuck": {
		[]string{leading, `workqueue_longest_running_processor_seconds{` + manager + `,controller="device",name="device"} 0+60x2880`, `workqueue_depth{` + manager + `,controller="device",name="device",priority="0"} 3x2880`},
		[]string{leading, `workqueue_longest_running_processor_seconds{` + manager + `,controller="device",name="device"} 5x2880`, `workqueue_depth{` + manager + `,controller="device",name="device",priority="0"} 20000-2000x10 0x2869`},
		[]string{"namespace", "kubemdm-system", "pod", "one", "name", "device"},
	},
	"KubeMDMObjectsStalled": {
		[]string{`kubemdm_conditions{` + manager + `,kind="Profile",condition="Stalled",status="True"} 2x2880`, `kubemdm_conditions{namespace="kubemdm-system",pod="two",kind="Profile",condition="Stalled",status="True"} 2x2880`},
		[]string{`kubemdm_conditions{` + manager + `,kind="Profile",condition="Ready",status="True"} 12x2880`},
		[]string{"kind", "Profile"},
	},
	"KubeMDMWebhookDown": {
		[]string{`apiserver_admission_webhook_fail_open_count{name="profiles.mdm.kubemdm.io",type="validating"} 0+1x2880`},
		[]string{`apiserver_admission_webhook_fail_open_count{name="profiles.mdm.kubemdm.io",type="validating"} 4x2880`, `apiserver_admission_webhook_fail_open_count{name="pods.example.com",type="validating"} 0+1x2880`},
		[]string{"name", "profiles.mdm.kubemdm.io"},
	},
	"KubeMDMLiveViewUnavailable": {
		[]string{`aggregator_unavailable_apiservice{name="v1alpha1.live.mdm.kubemdm.io"} 1x2880`},
		[]string{`aggregator_unavailable_apiservice{name="v1alpha1.live.mdm.kubemdm.io"} 0x2880`, `aggregator_unavailable_apiservice{name="v1beta1.metrics.k8s.io"} 1x2880`},
		[]string{"name", "v1alpha1.live.mdm.kubemdm.io"},
	},
}
