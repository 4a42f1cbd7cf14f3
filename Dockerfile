# One image for the API, the worker and ingest. It needs no writable root and no user of its own:
#   docker run --read-only --tmpfs /tmp ...
FROM python:3.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN ["python", "-m", "venv", "/venv"]
COPY requirements.lock .
RUN ["/venv/bin/pip", "install", "--require-hashes", "--only-binary=:all:", "-r", "requirements.lock"]
COPY app /srv/app
COPY worker /srv/worker
COPY ingest /srv/ingest
# Compiled here, since nothing is written there later. By hash, so that no time stamp makes two builds differ.
RUN ["python", "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "/srv"]

FROM python:3.13-slim-bookworm
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="rag-queue" \
      org.opencontainers.image.description="Ask questions over your PDFs, through a queue: FastAPI, RQ on Valkey, Qdrant, LangChain." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/python:3.13-slim-bookworm"
RUN ["groupadd", "--system", "--gid", "10001", "rag"]
RUN ["useradd", "--system", "--uid", "10001", "--gid", "10001", "--home-dir", "/srv", "--no-create-home", "--shell", "/usr/sbin/nologin", "rag"]
RUN ["install", "-d", "-o", "rag", "-g", "rag", "/documents"]
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# So `rq worker rag_queries` is the worker that runs this service's own jobs and nothing else.
ENV RQ_WORKER_CLASS=worker.ConcurrentWorker RQ_JOB_CLASS=worker.OwnJob RQ_CONNECTION_CLASS=app.core.queue.connections.ValkeyClient
# And so that every `uvicorn` reads HTTP within the limits of `app.server`.
ENV UVICORN_HTTP=app.server:HttpProtocol
WORKDIR /srv
COPY --from=build /venv /venv
COPY --from=build /srv /srv
# By number: Kubernetes' runAsNonRoot knows no names.
USER 10001:10001
EXPOSE 8000
# The API's, which the command below starts. What runs another command has another check, or none, as in docker-compose.yml.
# Not by httpx or urllib, which would ask HTTP_PROXY for it; isolated, so that the check is Python's own modules alone.
HEALTHCHECK --interval=10s --timeout=5s --retries=5 --start-period=30s CMD ["python", "-I", "-c", \
     "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8000, timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["uvicorn", "--factory", "app.main:from_environment", "--host", "0.0.0.0", "--port", "8000",\
     "--no-access-log", "--no-proxy-headers", "--no-server-header"]
