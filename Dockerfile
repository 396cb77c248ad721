# docker build -t lethe . && docker run --rm -p 7860:7860 lethe
#
# With CUDA: --build-arg TORCH_INDEX=https://pypi.org/simple, and docker run --gpus all. The wheels bring their
# own CUDA libraries, so the base stays the same. In a Docker Space, set TORCH_INDEX as a Space variable.
ARG BASE=python:3.11-slim
FROM ${BASE}

RUN useradd --create-home --uid 1000 user
WORKDIR /home/user/app

# Before the code, so that a change of code does not install everything anew.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
COPY requirements.txt ./
RUN pip install --no-cache-dir --index-url ${TORCH_INDEX} "$(grep '^torch[<>=]' requirements.txt)" \
 && pip install --no-cache-dir -r requirements.txt

# Runs, downloaded models and uploads are written as this user.
RUN mkdir -p /home/user/hf /home/user/tmp && chown 1000:1000 /home/user/app /home/user/hf /home/user/tmp
USER 1000
ENV GRADIO_ANALYTICS_ENABLED=False \
    GRADIO_SERVER_NAME=0.0.0.0 \
    GRADIO_SERVER_PORT=7860 \
    GRADIO_TEMP_DIR=/home/user/tmp \
    HF_HOME=/home/user/hf \
    PYTHONUNBUFFERED=1

COPY --chown=1000:1000 assets ./assets
COPY --chown=1000:1000 unlearning ./unlearning
COPY --chown=1000:1000 app.py ./

EXPOSE 7860
HEALTHCHECK --start-period=60s --timeout=5s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/', timeout=4)"]
CMD ["python", "app.py"]
