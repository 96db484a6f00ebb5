{{/* Down by one pod a minute, after five quiet minutes: each pod that leaves moves partitions and hands work back. */}}
{{- define "muster.scaleDownSlowly" -}}
scaleDown:
  stabilizationWindowSeconds: 300
  policies:
    - {type: Pods, value: 1, periodSeconds: 60}
{{- end }}

{{/* "yes" when any enabled worker is scaled by KEDA. */}}
{{- define "muster.usesKeda" -}}
{{- range include "muster.workers" . | fromYaml }}{{ if .keda.enabled }}yes{{ end }}{{ end -}}
{{- end }}

{{/* What KEDA needs of our Secrets to reach Kafka; empty when it needs none. */}}
{{- define "muster.kafkaSecrets" -}}
{{- $protocol := .Values.kafka.securityProtocol }}
{{- $tls := .Values.kafka.tls.existingSecret }}
{{- $entries := list }}
{{- if hasPrefix "SASL" $protocol }}
{{- range list "username" "password" }}
{{- $entries = append $entries (dict "parameter" . "name" $.Values.kafka.existingSecret "key" .) }}
{{- end }}
{{- end }}
{{- if and $tls (hasSuffix "SSL" $protocol) }}
{{- $entries = append $entries (dict "parameter" "ca" "name" $tls "key" "ca.crt") }}
{{- if .Values.kafka.tls.clientCertificate }}
{{- $entries = append $entries (dict "parameter" "cert" "name" $tls "key" "tls.crt") }}
{{- $entries = append $entries (dict "parameter" "key" "name" $tls "key" "tls.key") }}
{{- end }}
{{- end }}
{{- with $entries }}{{ toYaml . }}{{ end }}
{{- end }}
