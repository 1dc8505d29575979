/* --set flags: "section.key=value" and "section.NAME.key=value" into the document. */
#ifndef PROFILE_SET_H
#define PROFILE_SET_H

#include "profile/doc.h"

/* Into the document's last layer.  Without a NAME the value goes to the one section of that kind;
 * a section that no profile has is added. */
void set_apply(struct doc *doc, const char *set);

#endif
