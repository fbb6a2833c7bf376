
# Copyright (C) the ngx_http_iclock_module authors
#
# make run        try it: database, nginx, simulated terminals in build/run
# make build      build/ngx_http_iclock_module.so for the installed nginx
# make install    the module, its SQL, conf.example, programs, dashboards and
#                 alert rules; DESTDIR=dir
# make pictures   the pictures of README.md, by make run and a browser
# make deb        the Debian package libnginx-mod-http-iclock, in build/deb
# make test       every test; TESTS="t/notify.t t/sql.t": only these
# make unit       the tests of src/proto alone; UNITS="attlog text"
# make matrix     the tests of the database on PostgreSQL 13 to 18, with
#                 servers from npm; MATRIX="13 18" picks some, TESTS=...
# make citus      punches on a cluster of Citus, where PG_BINDIR=... has it
# make soak       make test again and again, TIMES=20
# make sanitize   the tests with ASan and UBSan in the module; TESTS=...
# make fuzz       libFuzzer on src/proto, see t/fuzz/fuzz.mk
# make lint       style, cppcheck, gcc's analyzer
# make docs       docs/commands.md, from the functions of the database, and
#                 docs/metrics.md, docs/status.schema.json,
#                 docs/iclock-simulator.md, and the dashboards in grafana/
# make bench      measures, each figure beside its reference; see t/bench/run
# make bench-compare REV=...    an older commit beside this tree
# make bench-api  other programs: the event feed, the HTTP API
# make bench-stream             1,000 clients of the live stream
# make bench-scrapes            what looks at metrics cost
# make bench-webhooks           what webhooks take
# make bench-limits             how long others wait for what must come soon
# make bench-console            the console page with 10,000 devices
# make bench-growth             large tables and fleets beside small ones
# make bench-storm              all terminals call at once
# make bench-steady             nothing grows in ten minutes of load
# make bench-simulator          terminals that act, of several models
# make bench-zone               what the locks of the shared zone cost
# make bench-instructions       instructions of a poll, by callgrind
# make bench-bodies             how long large uploads hold up a worker
# make bench-all                all of these, and one table;
#                 BENCHES="run limits" picks some, REV=... adds bench-compare
# make nginx-src  the source of nginx, which make unit, fuzz and lint fetch
# make npm        packages that tests of the HTTP interface ask, from npm
# make deps       installs what all of this needs
# make clean      removes build
#
# NGINX_SRC=dir   build for this nginx source tree instead, and test with it
# NGINX_CONF=...  further options for its configure
# MODULES=dir     where make install puts the module: where nginx looks for it
# LIBPQ_INC=dir, LIBPQ_LIB=dir    another libpq than the system's
# ICLOCK_DATABASE=conninfo, ONCE=1    see tools/run


SHELL =		/bin/bash

NAME =		ngx_http_iclock_module
ROOT :=		$(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
BUILD =		$(ROOT)/build
JOBS :=		$(shell nproc 2>/dev/null || echo 1)

MODULE =	$(BUILD)/$(NAME).so

# a source tree has its own objects, so that going to and fro is cheap
OBJS =		$(BUILD)/objs$(if $(NGINX_SRC),-$(subst /,_,$(abspath $(NGINX_SRC))))

# nginx compiles with -W -Wall -Wno-unused-parameter; these come on top.
# Only the module is compiled here: nginx itself is not built.
WARN =		-Wextra -Wno-unused-parameter -Wmissing-prototypes \
		-Wstrict-prototypes -Wvla -Werror

# what make -j was given, or else every processor
PARALLEL =	$(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS))

SANITIZE =	-fsanitize=address,undefined \
		-fno-sanitize=nonnull-attribute \
		-fno-omit-frame-pointer -O1 -U_FORTIFY_SOURCE

# the source of nginx, for what is compiled without the installed one
NGINX_TREE =	$(BUILD)/nginx-src/nginx/.complete

SOURCES =	$(sort $(wildcard $(ROOT)/src/*/*.c))
HEADERS =	$(sort $(wildcard $(ROOT)/src/*/*.h))
PAGE =		$(sort $(wildcard $(ROOT)/src/console/page/*))

# two more than there are processors, for tests also wait; how many of them
# have a browser, t/testrules.yml says
PROVE =		prove -j$$(($(JOBS) + 2)) -I$(ROOT)/t/lib --timer

# those that take longest begin first, so that none of them ends alone, and
# beside them the first one with a browser
SLOW =		t/year.t t/package.t t/build.t t/alloc.t t/database.t
TESTS =		$(SLOW) $(filter-out $(SLOW) t/citus.t,$(sort $(wildcard t/*.t)))

# the tests that TESTS=... names
CHOSEN =	$(if $(filter command,$(origin TESTS)),$(TESTS))

DESTDIR =
MODULES =	$(or $(shell nginx -V 2>&1 \
		    | sed -n 's/.*--modules-path=\([^ ]*\).*/\1/p'), \
		    /usr/lib/nginx/modules)
SHARE =		/usr/share/$(NAME)
BIN =		/usr/bin
SBIN =		/usr/sbin
MAN =		/usr/share/man

# from POD to a manual
POD2MAN =	pod2man --utf8 --center=$(NAME) --release=$(NAME)

# what the simulator is made of
SIMULATOR =	tools/simulator/IClock


.PHONY:		all help build module alloc run pictures test matrix citus soak \
		unit bench bench-ready bench-compare bench-api bench-stream \
		bench-scrapes bench-webhooks bench-console bench-storm \
		bench-steady bench-growth bench-simulator bench-zone \
		bench-instructions bench-bodies bench-limits bench-all fuzz \
		sanitize lint docs install deb clean deps nginx-src npm FORCE

all:		build

# what is said at the top of this file
help:
	@sed -n "/^# make/,/^\$$/s/^# \?//p" $(ROOT)/Makefile


# build

# two at a time in one tree wait for each other
build:
	@mkdir -p $(BUILD)
	@flock $(OBJS).lock $(MAKE) --no-print-directory module

module:		$(OBJS)/configured
	@cd "$$(cat $(OBJS)/configured)" && \
	    flags=$$(sed -n 's/^CFLAGS = *//p' $(OBJS)/Makefile) && \
	    link=$$(sed -n 's/^LINK = *//p' $(OBJS)/Makefile) && \
	    $(MAKE) $(PARALLEL) --no-print-directory -s -f $(OBJS)/Makefile \
	        CFLAGS="$$flags $(WARN) $(CFLAGS_EXTRA)" \
	        LINK="$${link//\$$(CC)/cc} $(LDFLAGS_EXTRA)" modules
	@cmp -s $(OBJS)/$(NAME).so $(MODULE) || { \
	    mkdir -p $(dir $(MODULE)) && \
	    cp $(OBJS)/$(NAME).so $(MODULE).new && \
	    mv -f $(MODULE).new $(MODULE) && \
	    echo "built $(MODULE:$(ROOT)/%=%)"; }

# the module again, from the same objects, with allocations that fail on
# demand, and the library that does the same to everything else
alloc:		build
	@cd "$$(cat $(OBJS)/configured)" && \
	    $(MAKE) --no-print-directory -s -f $(OBJS)/Makefile \
	        -f $(ROOT)/t/alloc/alloc.mk ROOT=$(ROOT) OBJS=$(OBJS) \
	        ALLOC=$(dir $(MODULE))alloc EXTRA='$(CFLAGS_EXTRA)' alloc

# configure anew when a file comes or goes, or the way to configure changes
$(OBJS)/files:	FORCE
	@mkdir -p $(OBJS)
	@printf '%s\n' $(SOURCES) $(HEADERS) $(PAGE) '$(NGINX_CONF)' \
	    '$(LIBPQ_INC) $(LIBPQ_LIB)' > $@.new
	@cmp -s $@.new $@ && rm -f $@.new || mv -f $@.new $@

$(OBJS)/configured: config config.make tools/configure $(OBJS)/files
	@NGINX_SRC='$(NGINX_SRC)' tools/deps build
	@tools/configure $(if $(NGINX_SRC),'$(abspath $(NGINX_SRC))',debian) \
	    $(ROOT) $(OBJS) $(NGINX_CONF)

install:	build
	install -d $(DESTDIR)$(MODULES) \
	    $(addprefix $(DESTDIR)$(SHARE)/,sql grafana alerts)
	install -m 644 $(MODULE) $(DESTDIR)$(MODULES)/
	install -m 644 conf.example $(DESTDIR)$(SHARE)/
	install -m 644 sql/*.sql $(DESTDIR)$(SHARE)/sql/
	install -m 644 grafana/*.json $(DESTDIR)$(SHARE)/grafana/
	install -m 644 alerts/*.yml $(DESTDIR)$(SHARE)/alerts/
	install -d $(DESTDIR)$(BIN) $(DESTDIR)$(SBIN) \
	    $(DESTDIR)$(MAN)/man1 $(DESTDIR)$(MAN)/man8 \
	    $(DESTDIR)$(SHARE)/simulator/IClock/Simulator
	install tools/iclock-install-schema $(DESTDIR)$(SBIN)/
	$(POD2MAN) --section=8 docs/iclock-install-schema.pod \
	    > $(DESTDIR)$(MAN)/man8/iclock-install-schema.8
	install tools/iclock-simulator $(DESTDIR)$(BIN)/
	install -m 644 $(SIMULATOR)/*.pm $(DESTDIR)$(SHARE)/simulator/IClock/
	install -m 644 $(SIMULATOR)/Simulator/*.pm \
	    $(DESTDIR)$(SHARE)/simulator/IClock/Simulator/
	$(POD2MAN) --section=1 tools/iclock-simulator \
	    > $(DESTDIR)$(MAN)/man1/iclock-simulator.1

deb:
	@tools/deps deb
	@tools/deb

clean:
	rm -rf build

deps:
	@tools/deps build run test fuzz bench

nginx-src:	$(NGINX_TREE)
	@:

npm:
	@tools/npm/fetch build/npm

$(NGINX_TREE):
	@NGINX_SRC='$(NGINX_SRC)' tools/nginx-src build/nginx-src


# try it

run:
	@tools/deps build run
	@$(MAKE) --no-print-directory build
	@exec tools/run

pictures:
	@tools/deps run test
	@$(MAKE) --no-print-directory build npm
	@exec tools/pictures


# tests

-include t/unit/unit.mk
-include t/fuzz/fuzz.mk

test:
	@tools/deps test
	@$(MAKE) --no-print-directory build nginx-src npm
	@$(MAKE) --no-print-directory alloc $(if $(CHOSEN),,unit-build)
	@$(PROVE) $(if $(CHOSEN),,$(UNIT:$(ROOT)/%=%)/run) $(TESTS)

# the module with the sanitizers in it, loaded into the stock nginx; they
# keep what was freed, so its use of memory tells nothing, and tools/run and
# the package take the module without them
sanitize:
	@tools/deps test
	@$(MAKE) --no-print-directory build nginx-src npm alloc \
	    OBJS=$(BUILD)/objs-sanitize MODULE=$(BUILD)/sanitize/$(NAME).so \
	    CFLAGS_EXTRA='$(SANITIZE)' LDFLAGS_EXTRA='$(SANITIZE)'
	@TEST_SANITIZE=1 $(PROVE) \
	    $(filter-out t/memory.t t/run.t t/package.t,$(TESTS))

matrix:
	@tools/deps matrix
	@$(MAKE) --no-print-directory build npm
	@JOBS=$(JOBS) MATRIX='$(MATRIX)' tools/matrix $(CHOSEN)

citus:
	@tools/deps test
	@$(MAKE) --no-print-directory build
	@prove -I$(ROOT)/t/lib --timer t/citus.t

soak:
	@exec tools/soak $(TIMES)

bench-ready:
	@tools/deps test bench
	@$(MAKE) --no-print-directory build npm

bench:		bench-ready
	@exec t/bench/run

bench-all:	bench-ready nginx-src
	@exec t/bench/all '$(REV)'

bench-compare:	bench-ready
	@exec t/bench/compare '$(REV)'

bench-api:	bench-ready
	@exec t/bench/api

bench-stream:	bench-ready
	@exec t/bench/stream

bench-scrapes:	bench-ready
	@exec t/bench/scrapes

bench-webhooks:	bench-ready
	@exec t/bench/webhooks

bench-limits:	bench-ready
	@exec t/bench/limits

bench-console:	bench-ready
	@exec t/bench/console

bench-growth:	bench-ready
	@exec t/bench/growth

bench-storm:	bench-ready
	@exec t/bench/storm

bench-steady:	bench-ready
	@exec t/bench/steady

bench-simulator: bench-ready
	@exec t/bench/simulator

bench-zone:	bench-ready nginx-src
	@exec t/bench/zone

bench-instructions: bench-ready
	@exec t/bench/instructions

bench-bodies:	bench-ready
	@exec t/bench/bodies

docs:
	@tools/deps test
	@DOCS=1 prove -I$(ROOT)/t/lib t/docs.t t/metrics.t \
	    t/simulator.t
	@tools/dashboards grafana

# Debian's nginx has --with-debug; the analyzer sees the module without it
lint:
	@tools/deps test
	@tools/lint
	@$(MAKE) --no-print-directory nginx-src
	@$(MAKE) --no-print-directory build \
	    NGINX_SRC=$(or $(NGINX_SRC),$(BUILD)/nginx-src/nginx) \
	    OBJS=$(BUILD)/objs-analyze MODULE=$(BUILD)/analyze/$(NAME).so \
	    CFLAGS_EXTRA=-fanalyzer

FORCE:
