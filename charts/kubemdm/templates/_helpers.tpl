{{- define "kubemdm.name" -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "kubemdm.selector" -}}
app.kubernetes.io/name: kubemdm
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: manager
{{- end }}

{{- define "kubemdm.labels" -}}
{{ include "kubemdm.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{/*
Says "true" if a part is on, else nothing. The list is the context, then the path of a value that is true by default: helm upgrade --reuse-values
leaves out what an older chart did not have, which must not turn it off.
*/}}
{{- define "kubemdm.on" -}}
{{- if dig (index . 1) (index . 2) true (index . 0).Values.AsMap }}true{{ end }}
{{- end }}

{{/* Says "true" if the operator serves something for which it needs a certificate. */}}
{{- define "kubemdm.serves" -}}
{{- if or (include "kubemdm.on" (list . "webhook" "enabled")) (include "kubemdm.on" (list . "live" "enabled")) }}true{{ end }}
{{- end }}

{{/* An image reference. The list is the context and a dict with repository, tag and digest. */}}
{{- define "kubemdm.image" -}}
{{- $context := index . 0 }}
{{- $image := index . 1 }}
{{- $repository := $image.repository }}
{{- with $context.Values.imageRegistry | default ($context.Values.global).imageRegistry }}
{{- /* The first part names a registry if it could not be a folder of the default one: as Docker tells them apart. */}}
{{- $repository = printf "%s/%s" . (regexReplaceAll "^(localhost|[^/]*[.:][^/]*)/" $image.repository "") }}
{{- end }}
{{- if $image.digest }}{{ $repository }}@{{ $image.digest }}
{{- else }}{{ $repository }}:{{ $image.tag | default $context.Chart.AppVersion }}
{{- end }}
{{- end }}

{{/* The operator's service account as the subject of a binding. */}}
{{- define "kubemdm.subject" -}}
- kind: ServiceAccount
  name: {{ include "kubemdm.name" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{/* Says "true" where a cluster can be asked: helm template knows of none, and lookup finds nothing there. */}}
{{- define "kubemdm.cluster" -}}
{{- if lookup "v1" "Namespace" "" "kube-system" }}true{{ end }}
{{- end }}

{{/* The actions of DeviceCommands, in lower case, that these roles may ask for; the admin may ask for all. */}}
{{- define "kubemdm.actions-helpdesk" -}}
[restart, shutdown, lock, clearpasscode, deviceinformation, installedapplications, profilelist, certificatelist, securityinfo]
{{- end }}
{{- define "kubemdm.actions-editor" -}}
[installapplication, installmsi, installcertificate, unenroll]
{{- end }}
