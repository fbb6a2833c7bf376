# Copyright (C) the ngx_http_iclock_module authors
#
# make fuzz       libFuzzer with ASan and UBSan on src/proto, a minute a target
# FUZZ_SECONDS=   another time;  FUZZ_TARGETS=  only these
# FUZZ_RUNS=      so many runs and no longer, with FUZZ_SECONDS=0 no shorter
# FUZZ_LEN=       the longest input
#
# A finding is left in build/fuzz/<target>-*; put it, made small with
# -minimize_crash=1, into t/fuzz/corpus/<target>/ along with the fix.


ROOT ?=		$(CURDIR)
BUILD ?=	$(ROOT)/build
FUZZ =		$(BUILD)/fuzz
FUZZ_NGINX =	$(BUILD)/nginx-src/nginx
FUZZ_CC ?=	$(firstword $(shell for cc in clang clang-19 clang-14; do \
		    command -v $$cc; done) clang)
FUZZ_SECONDS ?=	60
FUZZ_RUNS ?=	-1
FUZZ_LEN ?=	4096
FUZZ_TARGETS ?=	upload packet info replies handshake text

FUZZ_SAN =	-O1 -g -fno-omit-frame-pointer \
		-fsanitize=address,undefined,fuzzer-no-link \
		-fno-sanitize=nonnull-attribute,alignment,pointer-overflow \
		-fno-sanitize=function \
		-fno-sanitize-recover=undefined -DNGX_DEBUG_PALLOC=1
FUZZ_INC =	-I$(FUZZ_NGINX)/src/core -I$(FUZZ_NGINX)/src/event \
		-I$(FUZZ_NGINX)/src/os/unix -I$(FUZZ)/nginx \
		-I$(ROOT)/src/proto -I$(ROOT)/t/unit -I$(ROOT)/t/fuzz \
		-DNGX_ICLOCK_STEP_LINES=1

FUZZ_SRCS =	$(wildcard $(ROOT)/src/proto/*.c) \
		$(ROOT)/t/unit/unit_support.c $(ROOT)/t/fuzz/fuzz_body.c
FUZZ_HDRS =	$(wildcard $(ROOT)/src/proto/*.h) $(ROOT)/t/unit/unit.h \
		$(ROOT)/t/fuzz/fuzz.h
FUZZ_BINS =	$(FUZZ_TARGETS:%=$(FUZZ)/fuzz-%)

.PHONY:		fuzz fuzz-build

fuzz-build:	$(FUZZ_BINS)

fuzz:
	@NGINX_SRC='$(NGINX_SRC)' $(ROOT)/tools/deps fuzz
	@$(MAKE) --no-print-directory fuzz-build
	@set -e; for target in $(FUZZ_TARGETS); do \
	    echo "fuzz $$target"; \
	    mkdir -p $(FUZZ)/corpus/$$target; \
	    $(FUZZ)/fuzz-$$target -max_total_time=$(FUZZ_SECONDS) \
	        -runs=$(FUZZ_RUNS) -max_len=$(FUZZ_LEN) -timeout=10 \
	        -print_final_stats=1 \
	        -dict=$(ROOT)/t/fuzz/iclock.dict \
	        -artifact_prefix=$(FUZZ)/$$target- \
	        $(FUZZ)/corpus/$$target $(ROOT)/t/fuzz/corpus/$$target \
	        > $(FUZZ)/$$target.log 2>&1 \
	        || { tail -40 $(FUZZ)/$$target.log; exit 1; }; \
	    grep -E 'number_of_executed_units|peak_rss' $(FUZZ)/$$target.log; \
	done

$(FUZZ)/fuzz-%:	$(ROOT)/t/fuzz/fuzz_%.c $(FUZZ_SRCS) $(FUZZ_HDRS) \
		$(FUZZ)/libnginx.a
	@$(FUZZ_CC) $(FUZZ_SAN) -fsanitize=fuzzer $(FUZZ_INC) -o $@ \
	    $< $(FUZZ_SRCS) $(FUZZ)/libnginx.a -larchive -ldl -lpthread \
	    -lcrypt

$(FUZZ)/libnginx.a: $(ROOT)/t/fuzz/fuzz.mk $(ROOT)/t/unit/libnginx \
		$(NGINX_TREE)
	@$(ROOT)/t/unit/libnginx $(FUZZ_NGINX) $(FUZZ) '$(FUZZ_CC)' \
	    '$(FUZZ_SAN)'
