# Shells of a login, as terminals in JupyterLab are, begin with Debian's own search path; the image's goes before it.
case ":$PATH:" in
    *:/opt/venv/bin:*) ;;
    *) PATH="/opt/venv/bin:/opt/rust/bin:/opt/mlk8s:$PATH:/home/jovyan/.cargo/bin" ;;
esac
export PATH
