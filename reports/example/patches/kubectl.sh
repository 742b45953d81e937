#!/bin/sh
# Sets the recommended requests and limits directly on the cluster of the current context.
# Whatever manages these workloads from Git will set them back: this is for trying out.
set -eu
kubectl set resources deployment/comfyui --namespace=ai --containers=app --requests=cpu=65m,memory=1472Mi --limits=memory=3328Mi
kubectl set resources deployment/ollama --namespace=ai --containers=app --requests=cpu=230m,memory=4352Mi --limits=memory=11776Mi
kubectl set resources deployment/open-webui --namespace=ai --containers=app --requests=cpu=70m,memory=800Mi --limits=memory=1408Mi
kubectl set resources deployment/cert-manager --namespace=cert-manager --containers=cert-manager-controller --requests=cpu=10m,memory=64Mi
kubectl set resources deployment/cert-manager-webhook --namespace=cert-manager --containers=cert-manager-webhook --requests=cpu=5m,memory=28Mi
kubectl set resources cronjob/postgres-backup --namespace=databases --containers=backup --requests=cpu=750m,memory=256Mi --limits=memory=1Gi
kubectl set resources deployment/cloudnative-pg --namespace=databases --containers=manager --requests=cpu=15m,memory=80Mi --limits=cpu=0,memory=168Mi
kubectl set resources deployment/pgadmin --namespace=databases --containers=pgadmin --requests=cpu=5m,memory=248Mi
kubectl set resources statefulset/influxdb --namespace=databases --containers=influxdb --requests=cpu=90m,memory=1216Mi --limits=cpu=0,memory=1920Mi
kubectl set resources statefulset/mariadb --namespace=databases --containers=mariadb --requests=cpu=150m,memory=672Mi --limits=memory=1216Mi
kubectl set resources statefulset/mariadb --namespace=databases --containers=metrics --requests=cpu=5m,memory=31Mi
kubectl set resources statefulset/valkey --namespace=databases --containers=valkey --requests=cpu=65m,memory=512Mi --limits=memory=1Gi
kubectl set resources cronjob/recyclarr --namespace=downloads --containers=app --requests=cpu=375m,memory=192Mi --limits=memory=512M
kubectl set resources deployment/autobrr --namespace=downloads --containers=app --requests=cpu=10m,memory=76Mi --limits=memory=168Mi
kubectl set resources deployment/flaresolverr --namespace=downloads --containers=app --requests=cpu=120m,memory=576Mi --limits=memory=896Mi
kubectl set resources deployment/qbittorrent --namespace=downloads --containers=app --requests=cpu=140m,memory=1408Mi --limits=memory=4864Mi
kubectl set resources deployment/qbittorrent --namespace=downloads --containers=gluetun --requests=cpu=50m,memory=62Mi --limits=memory=128Mi
kubectl set resources deployment/sabnzbd --namespace=downloads --containers=app --requests=cpu=1100m,memory=640Mi --limits=cpu=0,memory=1216Mi
kubectl set resources deployment/unpackerr --namespace=downloads --containers=app --requests=cpu=35m,memory=108Mi --limits=memory=224Mi
kubectl set resources deployment/helm-controller --namespace=flux-system --containers=manager --requests=cpu=55m,memory=336Mi --limits=cpu=0,memory=1280Mi
kubectl set resources deployment/kustomize-controller --namespace=flux-system --containers=manager --requests=cpu=1900m,memory=272Mi --limits=cpu=0,memory=544Mi
kubectl set resources deployment/notification-controller --namespace=flux-system --containers=manager --requests=cpu=5m,memory=64Mi --limits=memory=88Mi
kubectl set resources deployment/source-controller --namespace=flux-system --containers=manager --requests=cpu=50m,memory=104Mi --limits=memory=208Mi
kubectl set resources deployment/esphome --namespace=home-automation --containers=app --requests=cpu=35m,memory=232Mi --limits=memory=432Mi
kubectl set resources deployment/frigate --namespace=home-automation --containers=app --requests=cpu=1500m,memory=2560Mi --limits=memory=3840Mi
kubectl set resources deployment/home-assistant --namespace=home-automation --containers=app --requests=cpu=350m,memory=1Gi --limits=memory=1728Mi
kubectl set resources deployment/home-assistant --namespace=home-automation --containers=code-server --requests=cpu=5m,memory=136Mi --limits=memory=256Mi
kubectl set resources deployment/node-red --namespace=home-automation --containers=app --requests=cpu=50m,memory=304Mi --limits=memory=1280Mi
kubectl set resources statefulset/mosquitto --namespace=home-automation --containers=app --requests=cpu=10m,memory=22Mi --limits=memory=64Mi
kubectl set resources statefulset/zigbee2mqtt --namespace=home-automation --containers=app --requests=cpu=25m,memory=128Mi --limits=memory=256Mi
kubectl set resources daemonset/cilium --namespace=kube-system --containers=cilium-agent --requests=cpu=150m,memory=608Mi --limits=memory=1Gi
kubectl set resources daemonset/nvidia-device-plugin --namespace=kube-system --containers=nvidia-device-plugin-ctr --requests=cpu=5m,memory=34Mi
kubectl set resources deployment/coredns --namespace=kube-system --containers=coredns --requests=cpu=45m,memory=70Mi --limits=memory=170Mi
kubectl set resources deployment/metrics-server --namespace=kube-system --containers=metrics-server --requests=cpu=20m,memory=64Mi
kubectl set resources deployment/reloader --namespace=kube-system --containers=reloader --requests=cpu=10m,memory=54Mi --limits=memory=120Mi
kubectl set resources deployment/bazarr --namespace=media --containers=app --requests=cpu=40m,memory=368Mi --limits=memory=608Mi
kubectl set resources deployment/immich-machine-learning --namespace=media --containers=app --requests=cpu=130m,memory=2Gi --limits=memory=3328Mi
kubectl set resources deployment/immich-server --namespace=media --containers=app --requests=cpu=75m,memory=896Mi --limits=memory=2304Mi
kubectl set resources deployment/jellyfin --namespace=media --containers=app --requests=cpu=130m,memory=1344Mi --limits=memory=4352Mi
kubectl set resources deployment/overseerr --namespace=media --containers=app --requests=cpu=50m,memory=496Mi --limits=memory=896Mi
kubectl set resources deployment/plex --namespace=media --containers=app --requests=cpu=950m,memory=1344Mi --limits=memory=2304Mi
kubectl set resources deployment/prowlarr --namespace=media --containers=app --requests=cpu=5m,memory=168Mi --limits=memory=320Mi
kubectl set resources deployment/radarr --namespace=media --containers=app --requests=cpu=45m,memory=384Mi --limits=memory=672Mi
kubectl set resources deployment/sonarr --namespace=media --containers=app --requests=cpu=60m,memory=576Mi --limits=memory=1920Mi
kubectl set resources deployment/tautulli --namespace=media --containers=app --requests=cpu=25m,memory=152Mi --limits=memory=288Mi
kubectl set resources daemonset/vector-agent --namespace=monitoring --containers=vector --requests=cpu=55m,memory=152Mi --limits=memory=384Mi
kubectl set resources deployment/gatus --namespace=monitoring --containers=app --requests=cpu=15m,memory=48Mi --limits=memory=108Mi
kubectl set resources deployment/grafana --namespace=monitoring --containers=grafana --requests=cpu=100m,memory=320Mi --limits=memory=512Mi
kubectl set resources deployment/grafana --namespace=monitoring --containers=grafana-sc-dashboard --requests=cpu=10m,memory=112Mi
kubectl set resources deployment/kube-prometheus-stack-operator --namespace=monitoring --containers=kube-prometheus-stack --requests=cpu=20m,memory=52Mi
kubectl set resources deployment/unpoller --namespace=monitoring --containers=app --requests=cpu=10m,memory=42Mi --limits=memory=128Mi
kubectl set resources statefulset/alertmanager-kube-prometheus-stack-alertmanager --namespace=monitoring --containers=alertmanager --requests=cpu=5m,memory=44Mi
kubectl set resources statefulset/alertmanager-kube-prometheus-stack-alertmanager --namespace=monitoring --containers=config-reloader --requests=cpu=5m,memory=28Mi
kubectl set resources statefulset/loki --namespace=monitoring --containers=loki --requests=cpu=75m,memory=864Mi --limits=memory=3Gi
kubectl set resources statefulset/prometheus-kube-prometheus-stack-prometheus --namespace=monitoring --containers=config-reloader --requests=cpu=5m,memory=29Mi
kubectl set resources statefulset/prometheus-kube-prometheus-stack-prometheus --namespace=monitoring --containers=prometheus --requests=cpu=550m,memory=5Gi --limits=memory=7Gi
kubectl set resources deployment/blocky --namespace=network --containers=app --requests=cpu=60m,memory=208Mi --limits=memory=400Mi
kubectl set resources deployment/cloudflared --namespace=network --containers=app --requests=cpu=40m,memory=68Mi --limits=memory=176Mi
kubectl set resources deployment/ingress-nginx-external-controller --namespace=network --containers=controller --requests=cpu=110m,memory=352Mi --limits=memory=500M
kubectl set resources statefulset/unifi --namespace=network --containers=app --requests=cpu=160m,memory=1280Mi --limits=memory=1984Mi
kubectl set resources deployment/authentik-worker --namespace=selfhosted --containers=app --requests=cpu=75m,memory=864Mi --limits=memory=1344Mi
kubectl set resources deployment/keycloak --namespace=selfhosted --containers=app --requests=cpu=80m,memory=1088Mi --limits=memory=1664Mi
kubectl set resources deployment/linkding --namespace=selfhosted --containers=app --requests=cpu=10m,memory=168Mi --limits=memory=256Mi
kubectl set resources deployment/miniflux --namespace=selfhosted --containers=app --requests=cpu=10m,memory=36Mi --limits=memory=88Mi
kubectl set resources deployment/nextcloud --namespace=selfhosted --containers=app --requests=cpu=250m,memory=416Mi --limits=memory=736Mi
kubectl set resources deployment/paperless --namespace=selfhosted --containers=app --requests=cpu=180m,memory=736Mi --limits=memory=1280Mi
kubectl set resources deployment/paperless --namespace=selfhosted --containers=tika --requests=cpu=20m,memory=736Mi --limits=memory=1Gi
kubectl set resources deployment/vaultwarden --namespace=selfhosted --containers=vaultwarden --requests=cpu=10m,memory=80Mi --limits=memory=176Mi
kubectl set resources cronjob/snapshot-prune --namespace=storage --containers=prune --requests=cpu=160m,memory=80Mi --limits=memory=128Mi
kubectl set resources daemonset/csi-driver-smb-node --namespace=storage --containers=node-driver-registrar --requests=cpu=10m,memory=26Mi --limits=memory=68Mi
kubectl set resources daemonset/csi-driver-smb-node --namespace=storage --containers=smb --requests=cpu=10m,memory=30Mi --limits=memory=80Mi
kubectl set resources deployment/kopia --namespace=storage --containers=app --requests=cpu=50m,memory=704Mi --limits=memory=1344Mi
kubectl set resources statefulset/minio --namespace=storage --containers=app --requests=cpu=50m,memory=1088Mi --limits=memory=1792Mi

# Left out:
# databases/Cluster/postgres: Cluster objects belong to an operator; set it where that object says
# kube-system/Pod/netshoot: a bare Pod's requests are fixed when it is created
