//! Channels in PostgreSQL.

use apflow_core::{store::StoreError, time::Timestamp};
use async_trait::async_trait;
use sqlx::Row as _;

use super::{
    decode,
    encode::{columns, numbers},
    reads::PgReads,
    rows::PgRows,
    sql,
};
use crate::channel::{
    CellRow, ChannelReads, ChannelRow, ChannelRows, Place, ReadCells, cell_row, channel_row,
    read_row, together,
};

#[async_trait]
impl ChannelRows for PgRows<'_> {
    async fn hold_channels(
        &mut self,
        forests: &[i64],
    ) -> Result<(Vec<ChannelRow>, Timestamp), StoreError> {
        let list = numbers(forests);
        // The clock comes last: whoever waits for a channel does not judge by a moment before that.
        let text = format!(
            "EXECUTE af_make_channels({list});EXECUTE af_load_channels({list});{}",
            self.clock()
        );
        let mut sets = self.script("reading channels", text).await?.into_iter().skip(1);
        let rows = sets.next().unwrap_or_default();
        let now = self.set_now(sets.next())?;
        Ok((decode::all(&rows, |row| channel_row!(row))?, now))
    }

    async fn cells(&mut self, places: &[Place]) -> Result<Vec<CellRow>, StoreError> {
        let statement = sqlx::query(sql::LOAD_CELLS);
        columns!(statement, places, place =>
            i64: place.0,
            &str: place.1.as_str(),
            &str: place.2.as_str(),
        );
        let rows = self.fetch("reading what lies in channels", statement).await?;
        decode::all(&rows, |row| cell_row!(row))
    }

    async fn delete_expired_cells(
        &mut self,
        forest: i64,
        now: Timestamp,
    ) -> Result<Vec<CellRow>, StoreError> {
        let statement = sqlx::query(sql::DELETE_EXPIRED_CELLS).bind(forest).bind(now.0);
        let rows = self.fetch("making room in a channel", statement).await?;
        decode::all(&rows, |row| cell_row!(row))
    }

    async fn save_channels(
        &mut self,
        channels: &[ChannelRow],
        put: &[CellRow],
        gone: &[Place],
    ) -> Result<(), StoreError> {
        let what = "storing what lies in channels";
        let statement = sqlx::query(sql::SAVE_CHANNELS);
        columns!(statement, channels, row =>
            i64: row.forest,
            i64: row.revision,
            i64: row.keys,
            i64: row.bytes,
            i64: row.at,
        );
        self.execute(what, statement).await?;
        if !put.is_empty() {
            let statement = sqlx::query(sql::SAVE_CELLS);
            columns!(statement, put, row =>
                i64: row.forest,
                &str: row.space.as_str(),
                &str: row.slot.as_str(),
                &str: row.value.as_str(),
                i64: row.version,
                Option<i64>: row.expires_at,
            );
            self.execute(what, statement).await?;
        }
        if !gone.is_empty() {
            let statement = sqlx::query(sql::DELETE_CELLS);
            columns!(statement, gone, place =>
                i64: place.0,
                &str: place.1.as_str(),
                &str: place.2.as_str(),
            );
            self.execute(what, statement).await?;
        }
        Ok(())
    }

    async fn empty_channels(&mut self, forests: &[i64]) -> Result<(), StoreError> {
        for statement in [sql::EMPTY_CHANNELS, sql::DELETE_ALL_CELLS] {
            self.execute("emptying channels", sqlx::query(statement).bind(forests)).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl ChannelReads for PgReads {
    async fn find_channel(&self, tree: &str) -> Result<Option<(i64, String, i64)>, StoreError> {
        let statement = sqlx::query(sql::FIND_CHANNEL).bind(tree);
        let rows = self.fetch("looking for a channel", statement).await?;
        let found =
            decode::all(&rows, |row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)));
        Ok(found?.into_iter().next())
    }

    async fn read_cells(
        &self,
        forest: i64,
        space: &str,
        slots: &[&str],
        now: Option<Timestamp>,
    ) -> Result<Option<ReadCells>, StoreError> {
        let statement = sqlx::query(sql::READ_CELLS)
            .bind(forest)
            .bind(space)
            .bind(slots)
            .bind(now.map(|now| now.0));
        let rows = self.fetch("reading what lies in a channel", statement).await?;
        Ok(together(decode::all(&rows, |row| read_row!(row))?, forest, space))
    }

    async fn list_cells(
        &self,
        forest: i64,
        space: &str,
        part: std::ops::Range<String>,
        limit: u32,
        now: Option<Timestamp>,
    ) -> Result<Option<ReadCells>, StoreError> {
        let statement = sqlx::query(sql::LIST_CELLS)
            .bind(forest)
            .bind(space)
            .bind(&part.start)
            .bind(&part.end)
            .bind(i64::from(limit))
            .bind(now.map(|now| now.0));
        let rows = self.fetch("listing what lies in a channel", statement).await?;
        Ok(together(decode::all(&rows, |row| read_row!(row))?, forest, space))
    }
}
