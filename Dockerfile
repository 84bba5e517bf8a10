# The service `adacl serve`, without PyTorch: it scores with models that `adacl export` wrote.
#
#   docker build --tag adacl .
#   docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
#     --volume "$PWD/models:/models:ro" --publish 127.0.0.1:8000:8000 --env ADACL_TOKEN \
#     adacl /models/parts.onnx

FROM python:3.12-slim-bookworm AS build
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN python -m venv /opt/adacl \
    && /opt/adacl/bin/pip install --no-cache-dir --constraint constraints.txt '.[serve]'

FROM python:3.12-slim-bookworm
RUN useradd --no-log-init --uid 10001 --create-home adacl
COPY --from=build /opt/adacl /opt/adacl
ENV PATH=/opt/adacl/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
WORKDIR /home/adacl
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD \
    ["python", "-c", "import urllib.request as web; web.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["adacl", "serve", "--host", "0.0.0.0", "--port", "8000"]
CMD ["/models/model.onnx"]
