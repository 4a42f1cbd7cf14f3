{{/* What the schema can't see: values that contradict each other. */}}
{{- define "rag-queue.checks" -}}
{{- $api := mergeOverwrite (deepCopy .Values.secrets) .Values.api.secrets -}}
{{- $jwks := include "rag-queue.setting" (dict "root" . "own" .Values.api.settings "name" "JWT_JWKS_URL") -}}
{{- if not (or $api.API_KEYS $api.JWT_SECRET $jwks) -}}
{{- fail "the API listens to all, so it must know who asks: secrets.API_KEYS, secrets.JWT_SECRET or settings.JWT_JWKS_URL" -}}
{{- end -}}
{{- if and .Values.valkey.sentinel.master (not .Values.valkey.sentinel.hosts) -}}
{{- fail "valkey.sentinel.hosts must say where the Sentinels are, each as host:26379" -}}
{{- end -}}
{{- $served := list -}}
{{- range $class, $worker := .Values.workers -}}
{{- if and $worker $worker.enabled -}}
{{- $served = concat $served $worker.queues -}}
{{- with $worker.autoscaling -}}
{{- if gt (int .min) (int .max) -}}
{{- fail (printf "workers.%s.autoscaling: min is above max" $class) -}}
{{- end -}}
{{- end -}}
{{- $patience := include "rag-queue.setting" (dict "root" $ "own" $worker.settings "name" "MODEL_TIMEOUT_SECONDS") | default "60" | float64 -}}
{{- if le (float64 $.Values.keda.cooldownSeconds) $patience -}}
{{- fail (printf "keda.cooldownSeconds must be above MODEL_TIMEOUT_SECONDS, %g in workers.%s" $patience $class) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range list "rag_queries" "rag_ingest" "rag_webhooks" "rag_pages" -}}
{{- if not (has . $served) -}}
{{- fail (printf "no class of workers serves the queue %s" .) -}}
{{- end -}}
{{- end -}}
{{- if gt (int .Values.api.autoscaling.min) (int .Values.api.autoscaling.max) -}}
{{- fail "api.autoscaling: min is above max" -}}
{{- end -}}
{{- end -}}
