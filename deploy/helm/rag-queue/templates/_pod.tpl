{{/*
Variables of one of our processes. (root, own: the component's values, user: of Valkey's, secrets: names of those that
it has a use for)
*/}}
{{- define "rag-queue.env" -}}
{{- $values := .root.Values -}}
{{- $valkey := $values.valkey -}}
- name: REDIS_URL
  value: {{ include "rag-queue.valkeyUrl" (dict "root" .root "user" .user) | quote }}
{{- if $valkey.caSecret }}
- name: REDIS_CA_FILE
  value: /etc/rag-queue/valkey-ca.crt
{{- end }}
- name: QDRANT_URL
  value: {{ $values.qdrant.url | quote }}
- name: DOCUMENTS_URL
  value: {{ default "/documents" $values.documents.url | quote }}
{{- with include "rag-queue.modelUrl" .root }}
- name: OPENAI_BASE_URL
  value: {{ . | quote }}
{{- end }}
- name: METRICS_HOST
  value: {{ $values.bindAddress | quote }}
- name: METRICS_PORT
  value: "9464"
{{- with $values.api.publicUrl }}
- name: PUBLIC_URL
  value: {{ . | quote }}
{{- end }}
{{- range $name, $value := .own.settings }}
- name: {{ $name }}
  value: {{ include "rag-queue.text" $value | quote }}
{{- end }}
{{- include "rag-queue.secretEnv" (dict "secrets" (mergeOverwrite (deepCopy $values.secrets) (.own.secrets | default dict)) "names" .secrets) }}
{{- with default $values.pod.extraEnv .own.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Of `secrets` those with one of `names`, from the Secrets that have them. */}}
{{- define "rag-queue.secretEnv" -}}
{{- $names := .names -}}
{{- range $name, $where := .secrets }}
{{- if and $where (has $name $names) }}
- name: {{ $name }}
  valueFrom: {secretKeyRef: {name: {{ $where.name | quote }}, key: {{ $where.key | quote }}}}
{{- end }}
{{- end }}
{{- end -}}

{{- define "rag-queue.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* What the pods of the API and of the workers have in common, but their container. (root, own, labels, files) */}}
{{- define "rag-queue.podSpec" -}}
{{- $values := .root.Values -}}
serviceAccountName: {{ include "rag-queue.serviceAccount" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml $values.podSecurityContext | nindent 2 }}
{{- with $values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with default $values.pod.priorityClassName .own.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with default $values.pod.nodeSelector .own.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with default $values.pod.tolerations .own.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with default $values.pod.affinity .own.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- $.labels | nindent 8 }}
  {{- end }}
volumes:
  - name: tmp
    emptyDir: {sizeLimit: 1Gi}
  {{- if and .files (not $values.documents.url) }}
  - name: documents
    persistentVolumeClaim:
      claimName: {{ default (printf "%s-documents" (include "rag-queue.fullname" .root)) $values.documents.persistence.existingClaim }}
  {{- end }}
  {{- with $values.valkey.caSecret }}
  - name: valkey-ca
    secret:
      secretName: {{ .name | quote }}
      items: [{key: {{ .key | quote }}, path: valkey-ca.crt}]
  {{- end }}
  {{- with default $values.pod.extraVolumes .own.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "rag-queue.volumeMounts" -}}
{{- $values := .root.Values -}}
- {name: tmp, mountPath: /tmp}
{{- if and .files (not $values.documents.url) }}
- {name: documents, mountPath: /documents}
{{- end }}
{{- if $values.valkey.caSecret }}
- {name: valkey-ca, mountPath: /etc/rag-queue, readOnly: true}
{{- end }}
{{- with default $values.pod.extraVolumeMounts .own.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* So that pods start anew when what they read at their start has changed. (root, own) */}}
{{- define "rag-queue.podAnnotations" -}}
checksum/settings: {{ .root.Values.settings | toJson | sha256sum }}
{{- with default .root.Values.pod.annotations .own.annotations }}
{{ toYaml . }}
{{- end }}
{{- end -}}
