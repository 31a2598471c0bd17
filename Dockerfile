# Without ROSTER_DATABASE_URL, the container runs its own PostgreSQL, with its data in /data.

FROM python:3.11-slim AS build
COPY requirements.txt .
RUN python -m venv /opt/roster \
    && /opt/roster/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt

FROM python:3.11-slim
# SECURITY: the service and its PostgreSQL run as a user that owns only the data. The number is fixed, so that the owner
# of a mounted folder can be set to it. initdb requires that the user has a name.
RUN groupadd --gid 10001 roster \
    && useradd --uid 10001 --gid roster --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin roster \
    && install --directory --owner=roster --group=roster --mode=0700 /data
COPY --from=build /opt/roster /opt/roster
WORKDIR /app
COPY schema.graphql .
COPY sql sql
COPY service service
RUN /opt/roster/bin/python -m compileall -q service

ENV PATH=/opt/roster/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ROSTER_DATA_DIR=/data \
    ROSTER_HOST=0.0.0.0
USER roster
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:%s/health/ready' % os.environ.get('ROSTER_PORT', 8000), timeout=4)"]
ENTRYPOINT ["python", "-m", "service"]
CMD ["serve"]
