{{- define "rag-queue.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Of every pod, and of nothing else: what a Deployment's selector starts with. */}}
{{- define "rag-queue.podLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "rag-queue.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: rag-queue
{{ include "rag-queue.podLabels" . }}
{{- end -}}

{{- define "rag-queue.serviceAccount" -}}
{{- default (include "rag-queue.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "rag-queue.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The port of an address: what it says, else its scheme's. */}}
{{- define "rag-queue.portOf" -}}
{{- $address := urlParse . -}}
{{- regexFind ":[0-9]+$" $address.host | trimPrefix ":" | default (ternary "443" "80" (eq $address.scheme "https")) -}}
{{- end -}}

{{/* A number as it is written, not 1e+06. */}}
{{- define "rag-queue.text" -}}
{{- kindIs "string" . | ternary . (toJson .) -}}
{{- end -}}

{{/* A setting as a component has it, of its own or of all; empty when neither says. (root, own, name) */}}
{{- define "rag-queue.setting" -}}
{{- $own := .own | default dict -}}
{{- if hasKey $own .name -}}
{{- include "rag-queue.text" (get $own .name) -}}
{{- else if hasKey .root.Values.settings .name -}}
{{- include "rag-queue.text" (get .root.Values.settings .name) -}}
{{- end -}}
{{- end -}}

{{/* The model's address, which all are told: that there is a model is seen by it, and the API needs no key for that. */}}
{{- define "rag-queue.modelUrl" -}}
{{- $key := .Values.secrets.OPENAI_API_KEY -}}
{{- range .Values.workers -}}
{{- if . -}}
{{- $key = or $key (.secrets | default dict).OPENAI_API_KEY -}}
{{- end -}}
{{- end -}}
{{- if .Values.model.baseUrl -}}
{{- .Values.model.baseUrl -}}
{{- else if $key -}}
https://api.openai.com/v1
{{- end -}}
{{- end -}}

{{/* REDIS_URL, for a user of Valkey's. (root, user) */}}
{{- define "rag-queue.valkeyUrl" -}}
{{- $valkey := .root.Values.valkey -}}
{{- $login := empty .user | ternary "" (printf "%s@" .user) -}}
{{- $scheme := ternary "rediss" "redis" $valkey.tls -}}
{{- with $valkey.sentinel -}}
{{- if .master -}}
{{- printf "%s+sentinel://%s%s/%s/%d" $scheme $login (join "," .hosts) .master (int $valkey.database) -}}
{{- else -}}
{{- printf "%s://%s%s:%d/%d" $scheme $login $valkey.host (int $valkey.port) (int $valkey.database) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Seconds a worker gives to what runs, as a whole number. (root, own) */}}
{{- define "rag-queue.workerGrace" -}}
{{- include "rag-queue.setting" (dict "root" .root "own" .own "name" "SHUTDOWN_GRACE_SECONDS") | default "30" | float64 | ceil | int64 -}}
{{- end -}}

{{/* keda, hpa or off. (root, type) */}}
{{- define "rag-queue.scaling" -}}
{{- if ne .type "auto" -}}
{{- .type -}}
{{- else -}}
{{- ternary "keda" "hpa" (.root.Capabilities.APIVersions.Has "keda.sh/v1alpha1") -}}
{{- end -}}
{{- end -}}
