"""The media service: pictures and documents of cadets, activities and letters. Each module says what it holds."""
