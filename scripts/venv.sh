# Sourced by the other scripts: a virtual environment with s2-mitm in it, made only when needed.

# find_python [CANDIDATE ...]: prints a Python that s2-mitm runs on: $PYTHON if it is set, else the
# first that will do, the CANDIDATEs before all others.
find_python() {
  local candidate candidates=("$@" python3 python3.13 python3.12 python3.11)
  if [ -n "${PYTHON:-}" ]; then candidates=("$PYTHON"); fi
  for candidate in "${candidates[@]}"; do
    # By running it: a name can be there and be no Python, or one without venv and pip.
    if "$candidate" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' \
      2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  echo "s2-mitm needs Python 3.11 or newer with venv and pip${PYTHON:+, which $PYTHON is not};" \
    "name one in PYTHON." >&2
  return 1
}

# make_venv PYTHON FOLDER [EXTRAS [REQUIREMENT ...]]: sees to it that FOLDER is a virtual environment
# of PYTHON's version with this checkout installed in it, with EXTRAS (such as "dev"), and with what
# the REQUIREMENTs say. With --lowest for one, every package that we name is the oldest we allow.
make_venv() {
  local python=$1 folder=$2 extras=${3:-} root stamp version
  local requirements=("${@:4}")
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  stamp=$folder/.s2-mitm${extras:+-$extras}
  version='import sys; print(sys.version_info[:2])'
  if [ "$("$folder/bin/python" -c "$version" 2>/dev/null)" != "$("$python" -c "$version")" ]; then
    echo "Making $folder; this takes a minute, once." >&2
    "$python" -m venv --clear "$folder"
  fi
  # The stamp holds the place of the checkout: who moves it has the old place in every script.
  if [ "$(cat "$stamp" 2>/dev/null)" != "$root" ] || [ "$root/pyproject.toml" -nt "$stamp" ]; then
    if [ "${requirements[*]}" = --lowest ]; then
      "$folder/bin/python" -m pip install -q --disable-pip-version-check uv
      "$folder/bin/uv" pip install -q --python "$folder/bin/python" --resolution lowest-direct \
        -e "$root${extras:+[$extras]}"
    else
      "$folder/bin/python" -m pip install -q --disable-pip-version-check \
        -e "$root${extras:+[$extras]}" ${requirements[@]+"${requirements[@]}"}
    fi
    echo "$root" >"$stamp"
  fi
}
