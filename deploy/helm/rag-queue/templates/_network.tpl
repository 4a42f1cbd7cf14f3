{{/* A rule of egress: to `peers`, anywhere without any, on `ports`. */}}
{{- define "rag-queue.egress" -}}
- ports:
    {{- range .ports }}
    - {port: {{ int . }}, protocol: TCP}
    {{- end }}
  {{- with .peers }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
