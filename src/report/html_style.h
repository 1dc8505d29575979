/* The style sheet of report.html: in a file of its own, since it is another language. */
#ifndef REPORT_HTML_STYLE_H
#define REPORT_HTML_STYLE_H

extern const char html_style[];

#endif
