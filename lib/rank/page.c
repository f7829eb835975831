#include "rank/endpoints.h"

__asm__(".section .rodata\n"
		".globl page_html\n"
		"page_html:\n"
		".incbin \"lib/rank/page.html\"\n"
		".byte 0\n"
		".previous\n");
