{{/* Name of what a revision has of its own: istiod, or istiod-canary. */}}
{{- define "ambit.istiod" -}}
{{- if .Values.revision }}istiod-{{ .Values.revision }}{{ else }}istiod{{ end }}
{{- end }}

{{- define "ambit.revision" -}}
{{- .Values.revision | default "default" }}
{{- end }}

{{/* The control plane that ztunnels ask. */}}
{{- define "ambit.discoveryAddress" -}}
{{- if .Values.ztunnel.revision }}https://istiod-{{ .Values.ztunnel.revision }}.{{ .Release.Namespace }}.svc:15012
{{- else }}https://istiod.{{ .Release.Namespace }}.svc:15012{{ end }}
{{- end }}

{{- define "ambit.image" -}}
image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- end }}

{{/* Labels of every object; takes the context and the component's name. */}}
{{- define "ambit.labels" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/part-of: ambit
app.kubernetes.io/version: {{ .context.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .context.Release.Service }}
helm.sh/chart: {{ .context.Chart.Name }}-{{ .context.Chart.Version }}
{{- end }}

{{/* The mesh's own pods are not in the mesh. */}}
{{- define "ambit.notInTheMesh" -}}
istio.io/dataplane-mode: none
sidecar.istio.io/inject: "false"
{{- end }}

{{- define "ambit.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* A file that is written for istio-system, which the local mesh reads as it is. */}}
{{- define "ambit.file" -}}
{{- .context.Files.Get .path | replace "istio-system" .context.Release.Namespace }}
{{- end }}

{{/* What the control plane is told of the proxies that it deploys, as JSON; empty settings are left out. */}}
{{- define "ambit.proxyValues" -}}
{{- $values := dict "image" (printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion)) "imagePullPolicy" .Values.image.pullPolicy "logLevel" .Values.logLevel }}
{{- with .Values.imagePullSecrets }}{{- $_ := set $values "imagePullSecrets" . }}{{- end }}
{{- range $field, $placement := dict "waypoint" .Values.gateways.waypoint "gateway" .Values.gateways.edge }}
{{- $said := dict }}
{{- range $name, $value := $placement }}{{- if $value }}{{- $_ := set $said $name $value }}{{- end }}{{- end }}
{{- $_ := set $values $field $said }}
{{- end }}
{{- $values | toJson }}
{{- end }}
