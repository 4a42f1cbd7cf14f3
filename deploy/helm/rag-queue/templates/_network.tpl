{{/* A rule of egress: to `peers`, anywhere without any, on `ports`. */}}
{{- define "rag-queue.egress" -}}
- ports:
    {{- $seen := dict }}
    {{- range .ports }}
    {{- if not (hasKey $seen (toString .)) }}
    {{- $_ := set $seen (toString .) true }}
    - {port: {{ int . }}, protocol: TCP}
    {{- end }}
    {{- end }}
  {{- with .peers }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
