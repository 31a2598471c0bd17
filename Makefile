# All paths are relative, so that the checkout may be in any folder, even one with spaces in its path.

.DEFAULT_GOAL := help
.PHONY: help serve test check bench lock graphiql clean

python := .venv/bin/python

# Create .venv unless it works, and install the file $(1) unless its copy in .venv shows that it is installed; $(2) is a
# file that is installed with it. A virtual environment does not work after its Python was removed or upgraded, or after
# its creation was interrupted.
define install
	works() { $(python) -c 'import os, sysconfig; os.listdir(sysconfig.get_path("purelib"))' 2>/dev/null; }; \
	create() { \
		found=; \
		for each in python3.14 python3.13 python3.12 python3.11 python3; do \
			$$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
			found=$${found:-$$each}; \
			$$each -c 'import ensurepip, venv' 2>/dev/null || continue; \
			rm -rf .venv && $$each -m venv .venv; return; \
		done; \
		if test "$$found"; then \
			echo "Python's venv is missing: install it, on Debian and Ubuntu with apt-get install $$found-venv" >&2; \
		else \
			echo "Python 3.11 or newer is missing: install it, so that python3 is on the PATH" >&2; \
		fi; \
		return 1; \
	}; \
	works || create || exit 1; \
	if test "$$(cat $(1))" != "$$(cat .venv/$(1) 2>/dev/null)"; then \
		echo "Installing $(1) into .venv"; \
		$(python) -m pip --version >/dev/null 2>&1 || create || exit 1; \
		$(python) -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r $(1) || exit 1; \
		cp $(1) $(2) .venv/; \
	fi
endef

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## /make \1	/p' Makefile

serve: ## Serve at http://localhost:8000/graphql (ROSTER_HOST, ROSTER_PORT, ROSTER_DATA_DIR)
	@$(call install,requirements.txt)
	@exec $(python) -m service serve

test: ## Run the tests
	@$(call install,requirements-dev.txt,requirements.txt)
	@$(python) -m pytest -q --numprocesses 4

check: ## Check format, lint, types, and SQL
	@$(call install,requirements-dev.txt,requirements.txt)
	@$(python) -m ruff format --check .
	@$(python) -m ruff check .
	@$(python) -m mypy
	@.venv/bin/sqlfluff lint --quiet sql/queries sql/migrations

bench: ## Compare the speed with that of other servers (options="--quick", "--users N", "--growth"); needs Node.js 20
	@$(call install,requirements-dev.txt,requirements.txt)
	@$(python) -m bench $(options)

compile = .venv/lock/bin/python -m piptools compile --quiet --upgrade --generate-hashes --strip-extras --no-header \
	--annotation-style line --no-emit-index-url --no-emit-find-links --no-emit-trusted-host

# pip-tools has its own environment, because its dependencies are not among those that it pins.
lock: ## Pin the newest versions that pyproject.toml allows
	@$(call install,requirements-dev.txt,requirements.txt)
	$(python) -m venv .venv/lock
	.venv/lock/bin/python -m pip install --quiet 'pip-tools>=7.5,<8'
	$(compile) --output-file requirements.txt pyproject.toml
	$(compile) --extra dev --constraint requirements.txt --output-file requirements-dev.txt pyproject.toml

graphiql: ## Build the bundled GraphiQL (needs Node.js 20)
	cd console && npm ci && npm run build

clean: ## Remove generated files, but never the data
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache
	find service tests -name __pycache__ -prune -exec rm -rf {} +
