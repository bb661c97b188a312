package main

// byServer and byPod choose what people chose, in metrics of the manager and of servers.
const (
	byServer = `namespace=~"$namespace", name=~"$server"`
	byPod    = `namespace=~"$namespace", server=~"$server"`
	day      = "86400"
)

var (
	servers = []variable{
		{"namespace", "Namespace", "kubemdm_mdmserver_devices", "namespace"},
		{"server", "Server", `kubemdm_mdmserver_devices{namespace=~"$namespace"}`, "name"},
	}
	namespaces = []variable{{"namespace", "Namespace", "kubemdm_object_condition", "namespace"}}
)

// bad turns red from a value on, left turns red below one.
func bad(from float64) []step { return []step{{"green", 0}, {"red", from}} }

func left(red, yellow float64) []step { return []step{{"red", 0}, {"yellow", red}, {"green", yellow}} }

var all = []dashboard{fleet, protocol, certificates, reconcile}

var fleet = dashboard{
	name: "fleet", title: "KubeMDM / Fleet", variables: servers,
	description: "How many devices there are, who is heard from, and how far Profiles have come.",
	panels: []panel{
		{
			kind: stat, title: "Enrolled devices", description: "Devices with a live enrolment.", unit: "short", width: 6, height: 4,
			queries: []query{{`sum(max by (namespace, name) (kubemdm_mdmserver_devices{state="enrolled", ` + byServer + `}))`, ""}},
		},
		{
			kind: stat, title: "Responding", unit: "percentunit", width: 6, height: 4, perPercent: true, steps: left(0.75, 0.9),
			description: "Share of the enrolled devices that were heard from within spec.silentAfter of their MDMServer.",
			queries: []query{{`sum(max by (namespace, name) (kubemdm_mdmserver_devices{state="responding", ` + byServer + `}))` +
				` / sum(max by (namespace, name) (kubemdm_mdmserver_devices{state="enrolled", ` + byServer + `}))`, ""}},
		},
		{
			kind: stat, title: "Behind", description: "Devices that a server is waking: work waits for them, or they have been quiet for long.", unit: "short", width: 6, height: 4,
			queries: []query{{`sum(max by (namespace, name) (kubemdm_mdmserver_devices{state="behind", ` + byServer + `}))`, ""}},
		},
		{
			kind: stat, title: "Removals held", unit: "short", width: 6, height: 4, steps: bad(1),
			description: "Devices that would lose a Profile by a removal that waits for a person.",
			queries:     []query{{`sum(max by (namespace, name) (kubemdm_profile_held_removal_devices{namespace=~"$namespace"})) or vector(0)`, ""}},
		},
		{
			kind: timeseries, title: "Devices by server", description: "Enrolled, responding and behind, for each server.", unit: "short", width: 12, height: 8,
			queries: []query{{`max by (namespace, name, state) (kubemdm_mdmserver_devices{` + byServer + `})`, "{{namespace}}/{{name}} {{state}}"}},
		},
		{
			kind: timeseries, title: "Devices by condition", width: 12, height: 8, unit: "short",
			description: "Devices that are not enrolled, do not respond, refuse a Profile, or were asked for by another identity.",
			queries: []query{
				{`max by (condition) (kubemdm_conditions{kind="Device", condition=~"Enrolled|Responding|ProfilesApplied", status="False"})`, "not {{condition}}"},
				{`max by (condition) (kubemdm_conditions{kind="Device", condition=~"ReenrolmentBlocked|RenewalDue", status="True"})`, "{{condition}}"},
			},
		},
		{
			kind: bargauge, title: "Profiles: devices behind", description: "Devices that do not have the current content of a Profile yet, the ten largest.", unit: "short", width: 12, height: 9,
			queries: []query{{`topk(10, max by (namespace, name) (kubemdm_profile_devices{state="pending", namespace=~"$namespace"}))`, "{{namespace}}/{{name}}"}},
		},
		{
			kind: bargauge, title: "Profiles: devices that refuse", unit: "short", width: 12, height: 9, steps: bad(1),
			description: "Devices that refused the content of a Profile and are not asked again until it changes, the ten largest. status.failing says why.",
			queries:     []query{{`topk(10, max by (namespace, name) (kubemdm_profile_devices{state="failed", namespace=~"$namespace"}))`, "{{namespace}}/{{name}}"}},
		},
		{
			kind: timeseries, title: "Rollout", description: "Share of the targeted devices that have a Profile.", unit: "percentunit", width: 12, height: 8, perPercent: true,
			queries: []query{{`max by (namespace, name) (kubemdm_profile_devices{state="installed", namespace=~"$namespace"})` +
				` / max by (namespace, name) (kubemdm_profile_devices{state="targeted", namespace=~"$namespace"})`, "{{namespace}}/{{name}}"}},
		},
		{
			kind: timeseries, title: "Apple Business Manager", unit: "short", width: 12, height: 8,
			description: "Devices that Apple lists by state: unselected ones match no profile, refused ones Apple did not assign.",
			queries:     []query{{`max by (namespace, name, state) (kubemdm_automatedenrollment_devices{namespace=~"$namespace"})`, "{{namespace}}/{{name}} {{state}}"}},
		},
	},
}

var protocol = dashboard{
	name: "protocol", title: "KubeMDM / Protocol", variables: servers,
	description: "What devices ask the servers, how they are answered, and how pushes go.",
	panels: []panel{
		{
			kind: stat, title: "Server errors", unit: "percentunit", width: 6, height: 4, perPercent: true, steps: bad(0.01),
			description: "Share of the requests that were answered with 5xx.",
			queries: []query{{`(sum(rate(kubemdm_server_http_requests_total{code=~"5..", ` + byPod + `}[$__rate_interval])) or vector(0))` +
				` / sum(rate(kubemdm_server_http_requests_total{` + byPod + `}[$__rate_interval]))`, ""}},
		},
		{
			kind: stat, title: "Pushing paused", description: "Servers that cannot push at the moment.", unit: "short", width: 6, height: 4, steps: bad(1),
			queries: []query{{`sum(max by (namespace, server) (kubemdm_server_push_paused{` + byPod + `}))`, ""}},
		},
		{
			kind: stat, title: "Store errors", description: "Transactions of the last day that failed because the store was unavailable: most often the disk is full.", unit: "short",
			width: 6, height: 4, steps: bad(1), queries: []query{{`sum(increase(kubemdm_server_store_errors_total{` + byPod + `}[1d]))`, ""}},
		},
		{
			kind: stat, title: "Panics", description: "Requests of the last day that ended in a panic. Each is a defect: report it.", unit: "short",
			width: 6, height: 4, steps: bad(1), queries: []query{{`sum(increase(kubemdm_server_http_panics_total{` + byPod + `}[1d]))`, ""}},
		},
		{
			kind: timeseries, title: "Requests", description: "By listener and endpoint.", unit: "reqps", width: 12, height: 9,
			queries: []query{{`sum by (listener, endpoint) (rate(kubemdm_server_http_requests_total{` + byPod + `}[$__rate_interval]))`, "{{listener}} {{endpoint}}"}},
		},
		{
			kind: timeseries, title: "Time to answer (95th percentile)", description: "By listener and endpoint; long polls of the internal API take long by design.", unit: "s", width: 12, height: 9,
			queries: []query{{`histogram_quantile(0.95, sum by (le, listener, endpoint) (rate(kubemdm_server_http_request_duration_seconds_bucket{` + byPod + `}[$__rate_interval])))`,
				"{{listener}} {{endpoint}}"}},
		},
		{
			kind: timeseries, title: "Answers by code", description: "404 and 410 are ordinary; 5xx are not.", unit: "reqps", width: 12, height: 8,
			queries: []query{{`sum by (code) (rate(kubemdm_server_http_requests_total{` + byPod + `}[$__rate_interval]))`, "{{code}}"}},
		},
		{
			kind: timeseries, title: "Pushes by outcome", unit: "ops", width: 12, height: 8,
			description: "Accepted: Apple took it. Unregistered: the device does not want any more. Rejected: refused for one device. Retry: the network or the certificate.",
			queries:     []query{{`sum by (outcome) (rate(kubemdm_server_pushes_total{` + byPod + `}[$__rate_interval]))`, "{{outcome}}"}},
		},
		{
			kind: table, title: "Versions", description: "What runs.", unit: "short", width: 12, height: 6,
			queries: []query{{`sum by (namespace, server, version) (kubemdm_server_build_info{` + byPod + `})`, ""}},
		},
		{
			kind: table, title: "Refused credentials", description: "Mounted folders whose newest content is not in use. Empty is good.", unit: "short", width: 12, height: 6,
			queries: []query{{`max by (namespace, server, folder) (kubemdm_server_mounted_folder_refused{` + byPod + `})`, ""}},
		},
	},
}

func daysLeft(metric, by string) string {
	return `sort((max by (` + by + `) (` + metric + `{namespace=~"$namespace"}) - time()) / ` + day + `)`
}

var certificates = dashboard{
	name: "certificates", title: "KubeMDM / Certificates", variables: namespaces,
	description: "What ends on a known day, and what is done about it.",
	panels: []panel{
		{
			kind: bargauge, title: "Push certificates: days left", description: "From the end on no Apple device is woken. Renew, never create.", unit: "d", width: 12, height: 7, steps: left(7, 30),
			queries: []query{{daysLeft("kubemdm_apnscertificate_expiry_timestamp_seconds", "namespace, name"), "{{namespace}}/{{name}}"}},
		},
		{
			kind: bargauge, title: "Tokens of Apple Business Manager: days left", description: "From the end on devices that are bought do not appear.", unit: "d", width: 12, height: 7, steps: left(7, 30),
			queries: []query{{daysLeft("kubemdm_automatedenrollment_token_expiry_timestamp_seconds", "namespace, name"), "{{namespace}}/{{name}}"}},
		},
		{
			kind: bargauge, title: "Certificates of servers: days left", unit: "d", width: 12, height: 9, steps: left(3, 14),
			description: "Serving is what devices see, Admin is that of the internal API. CAs of devices rotate by themselves.",
			queries:     []query{{daysLeft("kubemdm_mdmserver_certificate_expiry_timestamp_seconds", "namespace, name, certificate, role"), "{{namespace}}/{{name}} {{certificate}} {{role}}"}},
		},
		{
			kind: bargauge, title: "Next generation of a CA: days left", description: "The operator makes it by itself; back up the Secrets afterwards.", unit: "d", width: 12, height: 9,
			queries: []query{{daysLeft("kubemdm_mdmserver_ca_due_timestamp_seconds", "namespace, name, certificate"), "{{namespace}}/{{name}} {{certificate}}"}},
		},
		{
			kind: timeseries, title: "Requests that wait for Apple's certificate", unit: "s", width: 12, height: 8,
			description: "For how long a push certificate request has been waiting for a person.",
			queries:     []query{{`time() - max by (namespace, name) (kubemdm_apnscertificate_request_timestamp_seconds{namespace=~"$namespace"})`, "{{namespace}}/{{name}}"}},
		},
		{
			kind: table, title: "Conditions that are not True", unit: "short", width: 12, height: 8,
			description: "Of APNSCertificates, AutomatedEnrollments and MDMServers, with their reasons.",
			queries: []query{{`max by (kind, namespace, name, condition, status, reason) (kubemdm_object_condition{kind!="Profile", status!="True",` +
				` condition!~"Reconciling|Stalled", namespace=~"$namespace"})`, ""}},
		},
	},
}

var leader = ` and on (namespace, pod) leader_election_master_status{name="kubemdm-manager"} == 1`

var reconcile = dashboard{
	name: "reconcile", title: "KubeMDM / Reconcile", description: "Whether the operator does its duty.",
	panels: []panel{
		{
			kind: stat, title: "Leader", description: "Managers that lead: one, or nothing is reconciled.", unit: "short", width: 6, height: 4, steps: []step{{"red", 0}, {"green", 1}, {"red", 2}},
			queries: []query{{`sum(leader_election_master_status{name="kubemdm-manager"}) or vector(0)`, ""}},
		},
		{
			kind: stat, title: "Stalled objects", description: "Objects that wait for a person; their message says what to do.", unit: "short", width: 6, height: 4, steps: bad(1),
			queries: []query{{`sum(max by (kind) (kubemdm_conditions{condition="Stalled", status="True"})) or vector(0)`, ""}},
		},
		{
			kind: stat, title: "Objects let pass unchecked", unit: "short", width: 6, height: 4, steps: bad(1),
			description: "Requests of the last day for which the API server did not reach a webhook of KubeMDM. Needs metrics of the API server.",
			queries:     []query{{`sum(increase(apiserver_admission_webhook_fail_open_count{name=~".+\\.mdm\\.kubemdm\\.io"}[1d])) or vector(0)`, ""}},
		},
		{
			kind: stat, title: "Live view unavailable", description: "1: the API server does not reach live.mdm.kubemdm.io. Needs metrics of the API server.", unit: "short", width: 6, height: 4, steps: bad(1),
			queries: []query{{`max(aggregator_unavailable_apiservice{name="v1alpha1.live.mdm.kubemdm.io"}) or vector(0)`, ""}},
		},
		{
			kind: timeseries, title: "Not Ready", description: "Objects whose Ready is False or Unknown, by kind. Rollouts do not count: they are the fleet's part.", unit: "short", width: 12, height: 8,
			queries: []query{{`max by (kind, status) (kubemdm_conditions{condition="Ready", status!="True"})`, "{{kind}} {{status}}"}},
		},
		{
			kind: timeseries, title: "Commands", description: "DeviceCommands that have succeeded, have failed, or still run (Succeeded is False or Unknown).", unit: "short", width: 12, height: 8,
			queries: []query{{`max by (condition, status) (kubemdm_conditions{kind="DeviceCommand", condition=~"Succeeded|Failed"})`, "{{condition}} {{status}}"}},
		},
		{
			kind: timeseries, title: "Reconciles", description: "By controller and result.", unit: "ops", width: 12, height: 8,
			queries: []query{{`sum by (namespace, pod, controller, result) (rate(controller_runtime_reconcile_total[$__rate_interval]))` + leader, "{{controller}} {{result}}"}},
		},
		{
			kind: timeseries, title: "Share of reconciles that fail", description: "By controller; each is tried again with growing pauses.", unit: "percentunit", width: 12, height: 8, perPercent: true,
			queries: []query{{`sum by (namespace, pod, controller) (rate(controller_runtime_reconcile_errors_total[$__rate_interval]))` +
				` / sum by (namespace, pod, controller) (rate(controller_runtime_reconcile_total[$__rate_interval]))` + leader, "{{controller}}"}},
		},
		{
			kind: timeseries, title: "Time of a reconcile (95th percentile)", description: "By controller.", unit: "s", width: 12, height: 8,
			queries: []query{{`histogram_quantile(0.95, sum by (namespace, pod, controller, le) (rate(controller_runtime_reconcile_time_seconds_bucket[$__rate_interval])))` + leader, "{{controller}}"}},
		},
		{
			kind: timeseries, title: "Queues", description: "Objects that wait for their controller.", unit: "short", width: 12, height: 8,
			queries: []query{{`sum by (namespace, pod, name) (workqueue_depth)` + leader, "{{name}}"}},
		},
	},
}
