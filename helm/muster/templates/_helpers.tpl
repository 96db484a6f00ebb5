{{/* Names and labels. */}}

{{- define "muster.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* What never changes in a release; with a component it is a selector. Called with (dict "root" $ "component" "media"). */}}
{{- define "muster.selectorLabels" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "muster.labels" -}}
{{ include "muster.selectorLabels" . }}
app.kubernetes.io/version: {{ default .root.Chart.AppVersion .root.Values.image.tag | quote }}
app.kubernetes.io/part-of: muster
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* name, namespace and labels of an object. Called with (dict "root" $ "component" "media"). */}}
{{- define "muster.metadata" -}}
name: {{ include "muster.fullname" .root }}{{ with .component }}-{{ . }}{{ end }}
namespace: {{ .root.Release.Namespace }}
labels: {{- include "muster.labels" . | nindent 2 }}
{{- end }}

{{- define "muster.image" -}}
{{- with .root.Values.image -}}
{{ with .registry }}{{ . }}/{{ end }}{{ .repository }}/{{ $.service }}:{{ default $.root.Chart.AppVersion .tag }}
{{- end -}}
{{- end }}

{{/* The enabled workers with their defaults filled in, as YAML: name to entry. */}}
{{- define "muster.workers" -}}
{{- $workers := dict -}}
{{- range $name, $own := .Values.workers -}}
{{- $worker := mergeOverwrite (deepCopy $.Values.workerDefaults) (default dict $own) -}}
{{- $_ := set $worker "runs" (default $name $worker.runs) -}}
{{- if $worker.enabled -}}{{- $_ := set $workers $name $worker -}}{{- end -}}
{{- end -}}
{{- toYaml $workers -}}
{{- end }}
