# syntax=docker/dockerfile:1
# The operator's image: Python, the locked dependencies and operator/, nothing of the local edge.
# A tag can be moved, and what its digest is only the registry knows. For an image that can be built again bit by bit
# hand the base in: `--build-arg PYTHON=docker.io/library/python@sha256:…`.
ARG PYTHON=docker.io/library/python:3.13.9-slim-trixie

FROM ${PYTHON} AS build
COPY requirements/operator.lock /src/
# Wheels only, each by its hash: nothing is compiled, nothing is resolved anew. The environment itself has no pip.
RUN python -m venv --without-pip /opt/tunnelpool \
 && pip --python /opt/tunnelpool/bin/python --no-cache-dir --disable-pip-version-check \
    install --require-hashes --only-binary :all: --requirement /src/operator.lock
COPY operator/ /src/operator/
RUN site="$(/opt/tunnelpool/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
 && cp -r /src/operator/tunnelpool "$site/" \
 && printf '#!/opt/tunnelpool/bin/python\nfrom tunnelpool.cli import main\n\nmain()\n' > /opt/tunnelpool/bin/tunnelpool \
 && chmod 0755 /opt/tunnelpool/bin/tunnelpool \
 && /opt/tunnelpool/bin/python -m compileall -q "$site"

FROM ${PYTHON}
LABEL org.opencontainers.image.title="tunnelpool" \
      org.opencontainers.image.description="Cloudflare Tunnels and Cloudflare Load Balancing as Kubernetes custom resources" \
      org.opencontainers.image.source="https://github.com/tunnelpool/tunnelpool" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY LICENSE /usr/share/doc/tunnelpool/LICENSE
COPY --from=build /opt/tunnelpool /opt/tunnelpool
ENV PATH=/opt/tunnelpool/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# By number, so that `runAsNonRoot` can be checked before the container starts.
USER 65532:65532
ENTRYPOINT ["tunnelpool"]
