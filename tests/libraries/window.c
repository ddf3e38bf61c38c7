// A window with a button, which saves a picture of itself.
#include <gtk/gtk.h>
static gboolean shot(gpointer w) {
  GdkWindow *win = gtk_widget_get_window(GTK_WIDGET(w));
  GdkPixbuf *p = gdk_pixbuf_get_from_window(win, 0, 0, gdk_window_get_width(win), gdk_window_get_height(win));
  GError *e = NULL;
  gdk_pixbuf_save(p, "shot.png", "png", &e, NULL);
  g_print("%s %dx%d on %s\n", e ? e->message : "saved", gdk_pixbuf_get_width(p), gdk_pixbuf_get_height(p), gdk_display_get_name(gdk_display_get_default()));
  gtk_main_quit();
  return FALSE;
}
int main(int c, char **v) {
  gtk_init(&c, &v);
  GtkWidget *w = gtk_window_new(GTK_WINDOW_TOPLEVEL);
  gtk_container_add(GTK_CONTAINER(w), gtk_button_new_with_label("Pinned GTK: äöü"));
  gtk_window_set_default_size(GTK_WINDOW(w), 300, 120);
  gtk_widget_show_all(w);
  g_timeout_add(1500, shot, w);
  gtk_main();
  return 0;
}
