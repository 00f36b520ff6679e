# Sourced by the shell that runs a task's own script where there is no image and no network: what would bring software
# does nothing, because the suite has seen to it that the software is there.
apt-get() { :; }
apt() { :; }
pip() { :; }
pip3() { :; }
curl() { :; }
wget() { :; }
uvx() {
  while [ $# -gt 0 ]; do
    case "$1" in
      --with | -w | --from | --python | -p | --index-url | --with-requirements) shift 2 ;;
      -*) shift ;;
      *) break ;;
    esac
  done
  case "$1" in
    *.py) python3 "$@" ;;
    *) "$@" ;;
  esac
}
uv() {
  case "$1" in
    run) shift && uvx "$@" ;;
    tool) shift 2 && uvx "$@" ;;
    *) : ;;
  esac
}
