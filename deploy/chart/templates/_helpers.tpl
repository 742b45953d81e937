{{/* The name of everything: rightsize, or RELEASE-rightsize; a CronJob's has 52 characters at most. */}}
{{- define "rightsize.name" -}}
{{- if eq .Release.Name "rightsize" -}}
rightsize
{{- else -}}
{{- printf "%s-rightsize" (.Release.Name | trunc 42 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "rightsize.selector" -}}
app.kubernetes.io/name: rightsize
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "rightsize.labels" -}}
{{ include "rightsize.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "rightsize.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* The Secrets that are mounted: volume, name of the Secret, folder, and the settings that name its files. */}}
{{- define "rightsize.secrets" -}}
{{- with .Values.secrets }}
{{- $all := list
  (dict "volume" "prometheus-token" "secret" .prometheusToken "folder" "/run/secrets/prometheus"
        "files" (dict "RIGHTSIZE_PROMETHEUS__TOKEN_FILE" "token"))
  (dict "volume" "git-token" "secret" .gitToken "folder" "/run/secrets/git"
        "files" (dict "RIGHTSIZE_FORGE__TOKEN_FILE" "token"))
  (dict "volume" "git-app" "secret" .gitApp "folder" "/run/secrets/git-app"
        "files" (dict "RIGHTSIZE_FORGE__APP_KEY_FILE" "key.pem"))
  (dict "volume" "git-ssh" "secret" .gitSsh "folder" "/run/secrets/git-ssh"
        "files" (dict "RIGHTSIZE_GIT__KNOWN_HOSTS" "known_hosts" "RIGHTSIZE_GIT__SSH_KEY" "identity"))
  (dict "volume" "git-signing" "secret" .gitSigning "folder" "/run/secrets/git-signing"
        "files" (dict "GIT_CONFIG_GLOBAL" "gitconfig"))
  (dict "volume" "git-signing-gpg" "secret" .gitSigningGpg "folder" "/run/secrets/git-signing-gpg"
        "files" (dict "GIT_CONFIG_GLOBAL" "gitconfig" "SIGNING_KEY" "key.asc"))
  (dict "volume" "notify" "secret" .notify "folder" "/run/secrets/notify"
        "files" (dict "RIGHTSIZE_NOTIFY__TARGETS_FILE" "targets")) }}
{{- $wanted := list }}
{{- range $all }}{{ if .secret }}{{ $wanted = append $wanted . }}{{ end }}{{ end }}
{{- toJson $wanted }}
{{- end }}
{{- end -}}
