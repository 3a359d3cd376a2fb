# Two images of one file: the product (the default), and the SQS/S3 emulator that docker-compose.yml uses in place of AWS.

FROM python:3.13-slim AS python
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PATH=/app/.venv/bin:$PATH
WORKDIR /app
RUN useradd --system --uid 10001 --home-dir /nonexistent --no-create-home academy

# The packages of uv.lock, and nothing else. Made apart, so that uv and its cache stay out of what runs.
FROM python AS packages
RUN pip install --no-cache-dir uv==0.13.9
ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-cache --no-dev

FROM packages AS emulator-packages
RUN uv sync --frozen --no-cache --no-dev --group embedded

FROM python AS emulator
COPY --from=emulator-packages /app/.venv /app/.venv
RUN install --directory --owner=academy /data
ENV BIND_HOST=0.0.0.0 \
    GATEWAY_PORT=4566 \
    SERVICES=sqs,s3 \
    IOT_MTLS_ENABLED=0 \
    SFTP_ENABLED=0 \
    LOG_LEVEL=WARNING \
    PERSIST_STATE=1 \
    STATE_DIR=/data/state \
    S3_PERSIST=1 \
    S3_DATA_DIR=/data/objects
USER academy
VOLUME /data
EXPOSE 4566
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=10 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:4566/_ministack/health', timeout=2)"]
CMD ["python", "-m", "ministack"]

FROM python AS product
COPY --from=packages /app/.venv /app/.venv
COPY manage.py asgi.py ./
COPY config ./config
COPY realtime ./realtime
COPY academy ./academy
COPY apps ./apps
# /data: what is kept; /work (TMPDIR): uploads and encodings under way.
RUN install --directory --owner=academy /data /work
USER academy
EXPOSE 8000
ENV DJANGO_SETTINGS_MODULE=config.settings PROCESS_NAME=web
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=5 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
CMD ["python", "-m", "realtime.serve", "asgi:application", "--host", "0.0.0.0", "--port", "8000"]
