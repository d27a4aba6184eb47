"""Writers of old Keras files, and references to compare what is read from them with."""
