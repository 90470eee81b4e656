{{- define "swarmkeeper.name" -}}
{{- if contains "swarmkeeper" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-swarmkeeper" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* Labels of every object. */}}
{{- define "swarmkeeper.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: swarmkeeper
{{- end }}

{{/* Labels that select the pods of a part. Takes (list $ part). */}}
{{- define "swarmkeeper.selector" -}}
app.kubernetes.io/name: swarmkeeper
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "swarmkeeper.image" -}}
{{- with .Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}{{ end }}
{{- end }}

{{/* What the profile `restricted` of the Pod Security Standards asks for, and a read-only root. */}}
{{- define "swarmkeeper.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "swarmkeeper.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* What all pods have. */}}
{{- define "swarmkeeper.pod" -}}
automountServiceAccountToken: false
# Variables of Services would look like settings.
enableServiceLinks: false
securityContext:
  {{- include "swarmkeeper.podSecurity" . | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Where the store is. The URL of PostgreSQL has a password, so it comes from a Secret. */}}
{{- define "swarmkeeper.storeVariable" -}}
- name: SWARMKEEPER_STORE
{{- if eq .Values.store.kind "sqlite" }}
  value: sqlite:////data/store.db
{{- else }}
  valueFrom:
    secretKeyRef: {name: {{ .Values.store.postgresql.secret.name }}, key: {{ .Values.store.postgresql.secret.key }}}
{{- end }}
{{- end }}

{{/* The pod of the orchestrator. */}}
{{- define "swarmkeeper.orchestratorPod" -}}
{{- $set := .Values.orchestrator -}}
metadata:
  labels:
    {{- include "swarmkeeper.selector" (list . "orchestrator") | nindent 4 }}
    {{- include "swarmkeeper.labels" . | nindent 4 }}
  {{- with $set.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "swarmkeeper.pod" . | nindent 2 }}
  {{- with $set.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $set.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $set.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $set.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "swarmkeeper.selector" (list . "orchestrator") | nindent 10 }}
  # The sleep below, twice stopSeconds, and five seconds to spare.
  terminationGracePeriodSeconds: {{ add 10 (mul 2 $set.stopSeconds) }}
  containers:
    - name: orchestrator
      image: {{ include "swarmkeeper.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve{{ if eq .Values.store.kind "sqlite" }}, --migrate{{ end }}]
      securityContext:
        {{- include "swarmkeeper.containerSecurity" . | nindent 8 }}
      env:
        {{- include "swarmkeeper.storeVariable" . | nindent 8 }}
        - {name: SWARMKEEPER_HOST, value: 0.0.0.0}
        - {name: SWARMKEEPER_PORT, value: "7700"}
        # Within the cluster; TLS ends at what lets others in.
        - {name: SWARMKEEPER_INSECURE, value: "true"}
        - {name: SWARMKEEPER_STOP_SECONDS, value: {{ $set.stopSeconds | quote }}}
        - {name: SWARMKEEPER_BOOTSTRAP_KEY_FILE, value: /run/secrets/swarmkeeper/first/key}
        {{- if $set.pepper.secret.name }}
        - {name: SWARMKEEPER_PEPPER_FILE, value: /run/secrets/swarmkeeper/pepper/pepper}
        {{- end }}
        {{- if $set.auditKey.secret.name }}
        - {name: SWARMKEEPER_AUDIT_KEY_FILE, value: /run/secrets/swarmkeeper/audit/key}
        {{- end }}
        {{- range $name := list "broker" "stream" }}
        {{- with (index $set $name).secret }}
        {{- if .name }}
        - name: SWARMKEEPER_{{ upper $name }}
          valueFrom:
            secretKeyRef: {name: {{ .name }}, key: {{ .key }}}
        {{- end }}
        {{- end }}
        {{- end }}
        {{- range $name, $value := $set.settings }}
        - {name: SWARMKEEPER_{{ upper $name }}, value: {{ if kindIs "float64" $value }}{{ $value | toJson | quote }}{{ else }}{{ $value | toString | quote }}{{ end }}}
        {{- end }}
      ports:
        - {name: http, containerPort: 7700}
      startupProbe:
        httpGet: {path: /livez, port: http}
        periodSeconds: 2
        failureThreshold: {{ div (add 1 $set.startSecondsMax) 2 }}
      readinessProbe:
        httpGet: {path: /readyz, port: http}
        periodSeconds: 5
        timeoutSeconds: 4
      livenessProbe:
        httpGet: {path: /livez, port: http}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      lifecycle:
        preStop:
          # Until no Service sends new connections here. Then SIGTERM ends polls and streams, and answers what was accepted.
          sleep: {seconds: 5}
      resources:
        {{- toYaml $set.resources | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        - {name: first-key, mountPath: /run/secrets/swarmkeeper/first, readOnly: true}
        {{- if $set.pepper.secret.name }}
        - {name: pepper, mountPath: /run/secrets/swarmkeeper/pepper, readOnly: true}
        {{- end }}
        {{- if $set.auditKey.secret.name }}
        - {name: audit-key, mountPath: /run/secrets/swarmkeeper/audit, readOnly: true}
        {{- end }}
        - {name: data, mountPath: /data}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 256Mi}
    - name: first-key
      secret:
        secretName: {{ $set.firstKey.secret.name }}
        items: [{key: {{ $set.firstKey.secret.key }}, path: key}]
        defaultMode: 0440
        optional: true # a store that has keys does not need it
    {{- if $set.pepper.secret.name }}
    - name: pepper
      secret:
        secretName: {{ $set.pepper.secret.name }}
        items: [{key: {{ $set.pepper.secret.key }}, path: pepper}]
        defaultMode: 0440
    {{- end }}
    {{- if $set.auditKey.secret.name }}
    - name: audit-key
      secret:
        secretName: {{ $set.auditKey.secret.name }}
        items: [{key: {{ $set.auditKey.secret.key }}, path: key}]
        defaultMode: 0440
    {{- end }}
    {{- if ne .Values.store.kind "sqlite" }}
    - name: data
      emptyDir: {sizeLimit: 16Mi}
    {{- end }}
{{- end }}
