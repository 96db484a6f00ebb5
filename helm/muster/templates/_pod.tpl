{{/* What a pod is made of. */}}

{{/* Settings that are no secret: name to value. */}}
{{- define "muster.settings" -}}
KAFKA_BOOTSTRAP_SERVERS: {{ .Values.kafka.bootstrapServers | quote }}
KAFKA_SECURITY_PROTOCOL: {{ .Values.kafka.securityProtocol | quote }}
{{- if hasPrefix "SASL" .Values.kafka.securityProtocol }}
KAFKA_SASL_MECHANISM: {{ .Values.kafka.saslMechanism | quote }}
{{- end }}
{{- if .Values.kafka.tls.existingSecret }}
KAFKA_SSL_CAFILE: /etc/muster/kafka-tls/ca.crt
{{- if .Values.kafka.tls.clientCertificate }}
KAFKA_SSL_CERTFILE: /etc/muster/kafka-tls/tls.crt
KAFKA_SSL_KEYFILE: /etc/muster/kafka-tls/tls.key
{{- end }}
{{- end }}
{{- if .Values.signing.existingSecret }}
MUSTER_ACCEPT_UNSIGNED: {{ .Values.signing.acceptUnsigned | quote }}
{{- end }}
MUSTER_TOPIC_PREFIX: {{ .Values.kafka.topicPrefix | quote }}
MUSTER_REPLICATION_FACTOR: {{ .Values.kafka.replicationFactor | quote }}
MUSTER_BEAT_SECONDS: {{ .Values.settings.beatSeconds | quote }}
MUSTER_FENCE_SECONDS: {{ .Values.settings.fenceSeconds | quote }}
MUSTER_LEASE_SECONDS: {{ .Values.settings.leaseSeconds | quote }}
MUSTER_SESSION_SECONDS: {{ .Values.settings.sessionSeconds | quote }}
MUSTER_LOG_LEVEL: {{ .Values.settings.logLevel | quote }}
MUSTER_LOG_FORMAT: {{ .Values.settings.logFormat | quote }}
MUSTER_HTTP_PORT: {{ .Values.adminPort | quote }}
{{- end }}

{{/* One secret environment entry. Called with (dict "name" "X" "secret" "s" "key" "k"). */}}
{{- define "muster.secretEnv" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
      {{- if .optional }}
      optional: true
      {{- end }}
{{- end }}

{{- define "muster.kafkaSecretEnv" -}}
{{- if hasPrefix "SASL" .Values.kafka.securityProtocol }}
{{ include "muster.secretEnv" (dict "name" "KAFKA_SASL_USERNAME" "secret" .Values.kafka.existingSecret "key" "username") }}
{{ include "muster.secretEnv" (dict "name" "KAFKA_SASL_PASSWORD" "secret" .Values.kafka.existingSecret "key" "password") }}
{{- end }}
{{- if .Values.signing.existingSecret }}
{{ include "muster.secretEnv" (dict "name" "MUSTER_SIGNING_KEYS" "secret" .Values.signing.existingSecret "key" .Values.signing.key) }}
{{- end }}
{{- end }}

{{- define "muster.databaseEnv" -}}
{{ include "muster.secretEnv" (dict "name" "DATABASE_URL" "secret" .Values.database.existingSecret "key" .Values.database.key) }}
{{- end }}

{{/* What a worker names in `secretEnv`. */}}
{{- define "muster.ownSecretEnv" -}}
{{- range $name, $from := .secretEnv }}
{{ include "muster.secretEnv" (dict "name" $name "secret" $from.existingSecret "key" $from.key "optional" $from.optional) }}
{{- end }}
{{- end }}

{{/* Environment of a worker beyond the ConfigMap. Called with (dict "root" $ "name" $name "worker" $worker). */}}
{{- define "muster.workerEnv" -}}
- name: MUSTER_WORKER_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: MUSTER_SLOTS
  value: {{ .worker.slots | quote }}
{{- with .worker.lanes }}
- name: MUSTER_LANES
  value: {{ join "," . | quote }}
{{- end }}
{{- with .worker.childMemoryMb }}
- name: MUSTER_CHILD_MEMORY_MB
  value: {{ . | quote }}
{{- end }}
- name: MUSTER_GRACE_SECONDS
  value: {{ .worker.graceSeconds | quote }}
{{- with include "muster.kafkaSecretEnv" .root | trim }}
{{ . }}
{{- end }}
{{- if .worker.service.enabled }}
- name: {{ upper .worker.runs }}_HTTP_HOST
  value: "0.0.0.0"
- name: {{ upper .worker.runs }}_HTTP_PORT
  value: {{ .worker.service.port | quote }}
{{- end }}
{{- if .worker.database }}
{{ include "muster.databaseEnv" .root }}
{{- end }}
{{- range $name, $value := .worker.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- with include "muster.ownSecretEnv" .worker | trim }}
{{ . }}
{{- end }}
{{- with concat .root.Values.extraEnv .worker.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "muster.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: {{ .tmpSize }}}
{{- with .root.Values.kafka.tls.existingSecret }}
- name: kafka-tls
  secret: {secretName: {{ . }}}
{{- end }}
{{- end }}

{{- define "muster.volumeMounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if .Values.kafka.tls.existingSecret }}
- {name: kafka-tls, mountPath: /etc/muster/kafka-tls, readOnly: true}
{{- end }}
{{- end }}

{{/* Probe of the admin port. Called with (dict "path" "/livez" "probe" $probe). */}}
{{- define "muster.probe" -}}
httpGet: {path: {{ .path }}, port: admin}
periodSeconds: {{ .probe.periodSeconds }}
failureThreshold: {{ .probe.failureThreshold }}
timeoutSeconds: 4
{{- end }}

{{- define "muster.podHeader" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext: {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}
